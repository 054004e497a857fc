//! Room for writes: what a write may cost before it is proposed (etcd-surface 1.12).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::Error;
use api::etcdserverpb::alarm_request::AlarmAction;
use api::etcdserverpb::{AlarmMember, AlarmRequest, AlarmType};
use store::Op;

use crate::member::Member;

/// The alarm is cleared once the store is below this share of the quota, so that it does not come
/// back with the next write.
const CLEAR_PERCENT: u64 = 90;

/// Pause after the alarm could not be taken back.
const CLEAR_RETRY: Duration = Duration::from_secs(1);

/// The quota of this member.
#[derive(Debug)]
pub struct Quota {
    bytes: Option<u64>,
    /// An alarm is on its way; one is enough.
    raising: AtomicBool,
    /// This member ran out of space and has not recovered. An alarm an operator raised by hand on a
    /// store with room is not taken back.
    full: AtomicBool,
}

impl Quota {
    /// `bytes` is `None` when there is no quota.
    pub fn new(bytes: Option<u64>) -> Self {
        Self { bytes, raising: AtomicBool::new(false), full: AtomicBool::new(false) }
    }

    /// The quota, bytes; 0 when there is none.
    pub fn bytes(&self) -> u64 {
        self.bytes.unwrap_or(0)
    }

    /// Whether `in_use` bytes are few enough to take the alarm back.
    pub fn has_room_again(&self, in_use: u64) -> bool {
        self.bytes.is_none_or(|quota| in_use < quota / 100 * CLEAR_PERCENT)
    }

    fn would_overflow(&self, in_use: u64, cost: u64) -> bool {
        self.bytes.is_some_and(|quota| in_use.saturating_add(cost) > quota)
    }
}

/// Admits a write that may add `cost` bytes.
///
/// # Errors
/// `NoSpace` while the alarm is on, when the disk is full, and when the write would cross the
/// quota; the last raises the alarm for the whole cluster.
pub async fn admit(member: &Member, cost: u64) -> Result<(), Error> {
    if member.standing.is_out_of_space() || !member.disk_has_room() {
        return Err(Error::NoSpace);
    }
    if !member.quota.would_overflow(member.standing.bytes_in_use(), cost) {
        return Ok(());
    }
    raise(member).await;
    Err(Error::NoSpace)
}

async fn raise(member: &Member) {
    if member.quota.raising.swap(true, Ordering::AcqRel) {
        return;
    }
    member.quota.full.store(true, Ordering::Release);
    tracing::warn!(
        quota_bytes = member.quota.bytes(),
        in_use_bytes = member.standing.bytes_in_use(),
        "out of space: writes are refused until keys are deleted and history is compacted"
    );
    if let Err(error) = propose(member, AlarmAction::Activate).await {
        tracing::warn!(%error, "could not raise the alarm NOSPACE");
    }
    member.quota.raising.store(false, Ordering::Release);
}

/// Takes this member's alarm back once there is room again (design section 5), until the node
/// stops.
pub async fn run_clearing(member: Arc<Member>) {
    let own = AlarmMember { member_id: member.id(), alarm: AlarmType::Nospace.into() };
    let raised = || member.store.read(|store| store.alarms().contains(&own));
    // An alarm that an earlier process of this member left behind is this one's to take back.
    member.quota.full.store(raised(), Ordering::Release);
    loop {
        member.standing.room.notified().await;
        let has_room = member.quota.has_room_again(member.standing.bytes_in_use());
        if !(has_room && member.quota.full.load(Ordering::Acquire) && raised()) {
            continue;
        }
        match propose(&member, AlarmAction::Deactivate).await {
            Ok(()) => {
                member.quota.full.store(false, Ordering::Release);
                tracing::info!("there is room again: writes are accepted");
            }
            Err(error) => {
                tracing::warn!(%error, "could not take the alarm NOSPACE back; trying again");
                tokio::time::sleep(CLEAR_RETRY).await;
                member.standing.room.notify_one();
            }
        }
    }
}

async fn propose(member: &Member, action: AlarmAction) -> Result<(), Error> {
    let request = AlarmRequest {
        action: action.into(),
        member_id: member.id(),
        alarm: AlarmType::Nospace.into(),
    };
    member.node.propose_op(Op::Alarm(request)).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_goes_only_when_there_is_room_to_spare() {
        let quota = Quota::new(Some(1000));
        assert!(!quota.would_overflow(900, 100));
        assert!(quota.would_overflow(900, 101));
        assert!(!quota.has_room_again(900));
        assert!(quota.has_room_again(899));
        assert!(!Quota::new(None).would_overflow(u64::MAX, 1));
    }
}
