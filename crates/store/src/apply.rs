//! Applying commands: the only way state changes.
//!
//! Every member runs this with the same commands in the same order and must come to the same state
//! and the same outcomes. A rejected command changes nothing.

use api::Error;
use api::etcdserverpb::alarm_request::AlarmAction;
use api::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmResponse, CompactionRequest, CompactionResponse,
    DeleteRangeResponse, LeaseGrantRequest, LeaseGrantResponse, LeaseRevokeResponse, PutRequest,
    PutResponse, ResponseHeader, TxnResponse,
};

use crate::change::Change;
use crate::command::{Command, Op};
use crate::history::{History, HistoryError};
use crate::ids::LeaseId;
use crate::store::Store;
use crate::transaction::Transaction;

/// What a command came to. Headers carry only the revision; who answers fills in the rest.
pub type Outcome = Result<Reply, Error>;

/// The answer to an applied command.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// To [`Op::Put`].
    Put(PutResponse),
    /// To [`Op::DeleteRange`].
    DeleteRange(DeleteRangeResponse),
    /// To [`Op::Txn`].
    Txn(TxnResponse),
    /// To [`Op::Compact`]: history is given up logically; rows go later.
    Compact(CompactionResponse),
    /// To [`Op::LeaseGrant`].
    LeaseGrant(LeaseGrantResponse),
    /// To [`Op::LeaseRevoke`].
    LeaseRevoke(LeaseRevokeResponse),
    /// To [`Op::Alarm`]: the alarms asked for, or the one raised or cleared.
    Alarm(AlarmResponse),
    /// To what members tell each other.
    Empty,
}

/// What an operation inside `apply` can fail with: an answer for the client, or the end.
pub(crate) enum Failure {
    /// The command is rejected and has changed nothing.
    Rejected(Error),
    /// The member cannot go on.
    History(HistoryError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Rejected(error)
    }
}

impl From<HistoryError> for Failure {
    fn from(error: HistoryError) -> Self {
        Self::History(error)
    }
}

/// Longest time to live, seconds (etcd's limit).
pub const LEASE_TTL_S_MAX: i64 = 9_000_000_000;

/// A header that carries the revision and leaves the rest to who answers.
pub(crate) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..Default::default() })
}

impl Store {
    /// Applies one command.
    pub(crate) fn apply(
        &mut self,
        command: &Command,
        history: &dyn History,
        changes: &mut Vec<Change>,
    ) -> Result<Outcome, HistoryError> {
        match self.apply_op(command.op(), history, changes) {
            Ok(reply) => Ok(Ok(reply)),
            Err(Failure::Rejected(error)) => Ok(Err(error)),
            Err(Failure::History(error)) => Err(error),
        }
    }

    fn apply_op(
        &mut self,
        op: &Op,
        history: &dyn History,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Failure> {
        self.alarms.check(op)?;
        match op {
            Op::Put(request) => {
                self.check_put_against_state(request)?;
                let mut transaction = Transaction::begin(self, history, changes);
                let response = transaction.put(request)?;
                transaction.end();
                Ok(Reply::Put(response))
            }
            Op::DeleteRange(request) => {
                let mut transaction = Transaction::begin(self, history, changes);
                let response = transaction.delete_range(request)?;
                transaction.end();
                Ok(Reply::DeleteRange(response))
            }
            Op::Txn(request) => self.apply_txn(request, history, changes).map(Reply::Txn),
            Op::Compact(request) => self.apply_compact(request, changes),
            Op::LeaseGrant(request) => self.apply_lease_grant(request, changes),
            Op::LeaseRevoke(leases) => self.apply_lease_revoke(leases, history, changes),
            Op::Alarm(request) => Ok(Reply::Alarm(self.apply_alarm(request, changes))),
            Op::MemberAttributes(attributes) => {
                self.members.insert(attributes.member, attributes.clone());
                changes.push(Change::MemberAttributes(attributes.clone()));
                Ok(Reply::Empty)
            }
            Op::ClusterVersion(version) => {
                self.cluster_version = Some(version.clone());
                changes.push(Change::ClusterVersion(version.clone()));
                Ok(Reply::Empty)
            }
            // The raft layer has kept it; nothing here depends on it.
            Op::MembershipRecord(_) => Ok(Reply::Empty),
        }
    }

    /// What a put needs to find: the lease it names, and the key if it is to keep something of it.
    pub(crate) fn check_put_against_state(&self, request: &PutRequest) -> Result<(), Error> {
        let lease = LeaseId(request.lease);
        if lease != LeaseId::NONE && !self.leases.contains(lease) {
            return Err(Error::LeaseNotFound);
        }
        if (request.ignore_value || request.ignore_lease) && !self.exists(&request.key) {
            return Err(Error::KeyNotFound);
        }
        Ok(())
    }

    fn apply_compact(
        &mut self,
        request: &CompactionRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Failure> {
        if request.revision <= self.compacted {
            return Err(Error::Compacted.into());
        }
        if request.revision > self.current {
            return Err(Error::FutureRevision.into());
        }
        self.compacted = request.revision;
        self.ledger.compacted(request.revision);
        changes.push(Change::Compacted(request.revision));
        Ok(Reply::Compact(CompactionResponse { header: header(self.current) }))
    }

    fn apply_lease_grant(
        &mut self,
        request: &LeaseGrantRequest,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Failure> {
        let id = LeaseId(request.id);
        if id == LeaseId::NONE {
            return Err(Error::LeaseNotFound.into());
        }
        if request.ttl > LEASE_TTL_S_MAX {
            return Err(Error::LeaseTtlTooLarge.into());
        }
        if self.leases.contains(id) {
            return Err(Error::LeaseExist.into());
        }
        self.leases.grant(id, request.ttl);
        changes.push(Change::Lease { id, ttl_s: request.ttl });
        Ok(Reply::LeaseGrant(LeaseGrantResponse {
            header: header(self.current),
            id: request.id,
            ttl: request.ttl,
            error: String::new(),
        }))
    }

    /// Each lease takes its keys with it in a revision of its own. Several come from the leader's
    /// expiry and may have been revoked by a client meanwhile; one alone is a client's question.
    fn apply_lease_revoke(
        &mut self,
        leases: &[LeaseId],
        history: &dyn History,
        changes: &mut Vec<Change>,
    ) -> Result<Reply, Failure> {
        for id in leases {
            let Some(keys) = self.leases.revoke(*id) else {
                if leases.len() == 1 {
                    return Err(Error::LeaseNotFound.into());
                }
                continue;
            };
            let mut transaction = Transaction::begin(self, history, changes);
            for key in &keys {
                transaction.delete(key);
            }
            transaction.end();
            changes.push(Change::LeaseRemoved(*id));
        }
        Ok(Reply::LeaseRevoke(LeaseRevokeResponse { header: header(self.current) }))
    }

    /// Answers as etcd does: the alarm raised, whether or not it stood; the alarm cleared, nothing
    /// if it did not stand.
    fn apply_alarm(&mut self, request: &AlarmRequest, changes: &mut Vec<Change>) -> AlarmResponse {
        let alarm = AlarmMember { member_id: request.member_id, alarm: request.alarm };
        let alarms = match request.action() {
            AlarmAction::Get => self.alarms.list(request.alarm),
            AlarmAction::Activate => {
                if self.alarms.raise(alarm) {
                    changes.push(Change::AlarmRaised(alarm));
                }
                vec![alarm]
            }
            AlarmAction::Deactivate if self.alarms.clear(alarm) => {
                changes.push(Change::AlarmCleared(alarm));
                vec![alarm]
            }
            AlarmAction::Deactivate => Vec::new(),
        };
        AlarmResponse { header: header(self.current), alarms }
    }
}
