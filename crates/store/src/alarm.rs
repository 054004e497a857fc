//! Raised alarms and what they forbid (etcd-surface 1.12).

use std::collections::BTreeSet;

use api::Error;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{AlarmMember, AlarmType, RequestOp, TxnRequest};

use crate::command::Op;

/// The alarms that stand, by type and member.
#[derive(Default)]
pub(crate) struct Alarms {
    raised: BTreeSet<(i32, u64)>,
}

impl Alarms {
    /// Raises an alarm; `true` when it did not stand before.
    pub fn raise(&mut self, alarm: AlarmMember) -> bool {
        self.raised.insert((alarm.alarm, alarm.member_id))
    }

    /// Clears an alarm; `true` when it stood.
    pub fn clear(&mut self, alarm: AlarmMember) -> bool {
        self.raised.remove(&(alarm.alarm, alarm.member_id))
    }

    /// The alarms of one type, or all for `AlarmType::None`, by type and member.
    pub fn list(&self, of_type: i32) -> Vec<AlarmMember> {
        self.raised
            .iter()
            .filter(|(alarm, _)| of_type == AlarmType::None as i32 || *alarm == of_type)
            .map(|&(alarm, member_id)| AlarmMember { member_id, alarm })
            .collect()
    }

    fn stands(&self, of_type: AlarmType) -> bool {
        self.raised.iter().any(|(alarm, _)| *alarm == of_type as i32)
    }

    /// Refuses what the standing alarms forbid: everything on keys and leases when the cluster is
    /// corrupt, what takes space when there is none.
    pub fn check(&self, op: &Op) -> Result<(), Error> {
        if self.raised.is_empty() {
            return Ok(());
        }
        let on_keys_or_leases = !matches!(
            op,
            Op::Alarm(_)
                | Op::MemberAttributes(_)
                | Op::ClusterVersion(_)
                | Op::MembershipRecord(_)
        );
        if on_keys_or_leases {
            self.check_read()?;
        }
        if takes_space(op) && self.stands(AlarmType::Nospace) {
            return Err(Error::NoSpace);
        }
        Ok(())
    }

    /// Refuses reads when the cluster is corrupt.
    pub fn check_read(&self) -> Result<(), Error> {
        if !self.raised.is_empty() && self.stands(AlarmType::Corrupt) {
            return Err(Error::Corrupt);
        }
        Ok(())
    }
}

fn takes_space(op: &Op) -> bool {
    match op {
        Op::Put(_) | Op::LeaseGrant(_) => true,
        Op::Txn(txn) => contains_put(txn),
        _ => false,
    }
}

fn contains_put(txn: &TxnRequest) -> bool {
    let is_put = |op: &RequestOp| match &op.request {
        Some(Request::RequestPut(_)) => true,
        Some(Request::RequestTxn(nested)) => contains_put(nested),
        _ => false,
    };
    txn.success.iter().chain(&txn.failure).any(is_put)
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{CompactionRequest, DeleteRangeRequest, PutRequest};

    use super::*;

    fn alarm(member_id: u64, alarm: AlarmType) -> AlarmMember {
        AlarmMember { member_id, alarm: alarm as i32 }
    }

    fn put_in_the_failure_branch_of_a_nested_txn() -> Op {
        let put = RequestOp { request: Some(Request::RequestPut(PutRequest::default())) };
        let nested = TxnRequest { failure: vec![put], ..Default::default() };
        let nested = RequestOp { request: Some(Request::RequestTxn(nested)) };
        Op::Txn(TxnRequest { success: vec![nested], ..Default::default() })
    }

    #[test]
    fn without_space_only_what_takes_space_is_refused() {
        let mut alarms = Alarms::default();
        assert!(alarms.raise(alarm(7, AlarmType::Nospace)));
        assert!(!alarms.raise(alarm(7, AlarmType::Nospace)));
        for op in [
            Op::Put(PutRequest::default()),
            put_in_the_failure_branch_of_a_nested_txn(),
            Op::LeaseGrant(Default::default()),
        ] {
            assert_eq!(alarms.check(&op), Err(Error::NoSpace));
        }
        for op in [
            Op::DeleteRange(DeleteRangeRequest::default()),
            Op::Txn(TxnRequest::default()),
            Op::Compact(CompactionRequest::default()),
            Op::LeaseRevoke(vec![]),
        ] {
            assert_eq!(alarms.check(&op), Ok(()));
        }
        assert!(alarms.clear(alarm(7, AlarmType::Nospace)));
        assert!(!alarms.clear(alarm(7, AlarmType::Nospace)));
        assert_eq!(alarms.check(&Op::Put(PutRequest::default())), Ok(()));
    }

    #[test]
    fn a_corrupt_cluster_answers_nothing_but_alarms() {
        let mut alarms = Alarms::default();
        alarms.raise(alarm(7, AlarmType::Corrupt));
        assert_eq!(alarms.check_read(), Err(Error::Corrupt));
        assert_eq!(alarms.check(&Op::LeaseRevoke(vec![])), Err(Error::Corrupt));
        assert_eq!(alarms.check(&Op::Alarm(Default::default())), Ok(()));
    }

    #[test]
    fn alarms_are_listed_by_type_and_member() {
        let mut alarms = Alarms::default();
        let (a, b) = (alarm(9, AlarmType::Nospace), alarm(1, AlarmType::Corrupt));
        alarms.raise(b);
        alarms.raise(a);
        assert_eq!(alarms.list(AlarmType::None as i32), [a, b]);
        assert_eq!(alarms.list(AlarmType::Corrupt as i32), [b]);
    }
}
