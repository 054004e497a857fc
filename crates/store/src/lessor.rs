//! When leases end. Only the leader keeps this book, and only in memory: time is its own, and a new
//! leader gives every lease its full time again (etcd-surface 1.10).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::ids::LeaseId;

/// Deadlines of all leases. Times are milliseconds of a clock that never goes back; the caller
/// brings them.
#[derive(Default)]
pub struct Lessor {
    leases: BTreeMap<LeaseId, Held>,
    /// The next look at each lease, soonest first. A renewal does not touch it: when the look comes
    /// and the deadline has moved, the lease is queued again. Entries that do not agree with
    /// `Held::look_ms` are left over from removed leases.
    queue: BinaryHeap<Reverse<(u64, LeaseId)>>,
    primary: bool,
}

struct Held {
    ttl_s: i64,
    deadline_ms: u64,
    look_ms: u64,
}

/// An expired lease that is still there is named again after this long: its revocation may have
/// been lost with a proposal.
const RETRY_MS: u64 = 3_000;

/// Left-overs in the queue beyond the number of leases before it is built anew.
const QUEUE_SLACK: usize = 1024;

impl Lessor {
    /// This member leads from now on. Every lease, given as id and time to live in seconds, gets
    /// its full time and `extend_ms` on top, for what clients could not do meanwhile.
    pub fn promote(
        &mut self,
        now_ms: u64,
        leases: impl IntoIterator<Item = (LeaseId, i64)>,
        extend_ms: u64,
    ) {
        self.demote();
        self.primary = true;
        for (id, ttl_s) in leases {
            self.insert(id, ttl_s, end_of(ttl_s, now_ms).saturating_add(extend_ms));
        }
    }

    /// This member does not lead any more: it knows no deadlines.
    pub fn demote(&mut self) {
        self.leases.clear();
        self.queue.clear();
        self.primary = false;
    }

    /// Whether this member leads.
    pub fn is_primary(&self) -> bool {
        self.primary
    }

    /// A lease was granted.
    pub fn granted(&mut self, id: LeaseId, ttl_s: i64, now_ms: u64) {
        if self.primary {
            self.insert(id, ttl_s, end_of(ttl_s, now_ms));
        }
    }

    fn insert(&mut self, id: LeaseId, ttl_s: i64, deadline_ms: u64) {
        self.leases.insert(id, Held { ttl_s, deadline_ms, look_ms: deadline_ms });
        self.queue.push(Reverse((deadline_ms, id)));
        self.bound_queue();
    }

    /// A lease was revoked.
    pub fn removed(&mut self, id: LeaseId) {
        self.leases.remove(&id);
        self.bound_queue();
    }

    fn bound_queue(&mut self) {
        if self.queue.len() > 2 * self.leases.len() + QUEUE_SLACK {
            self.queue =
                self.leases.iter().map(|(id, held)| Reverse((held.look_ms, *id))).collect();
        }
    }

    /// Gives a lease its full time again and returns that, seconds. `None` for one that does not
    /// exist or has expired: it is about to be revoked, and promising more would be a lie.
    pub fn renew(&mut self, id: LeaseId, now_ms: u64) -> Option<i64> {
        let held = self.leases.get_mut(&id).filter(|held| held.deadline_ms > now_ms)?;
        held.deadline_ms = held.deadline_ms.max(end_of(held.ttl_s, now_ms));
        Some(held.ttl_s)
    }

    /// Time left, milliseconds, 0 once expired; `None` for one that does not exist.
    pub fn remaining_ms(&self, id: LeaseId, now_ms: u64) -> Option<u64> {
        self.leases.get(&id).map(|held| held.deadline_ms.saturating_sub(now_ms))
    }

    /// Leases that have expired, soonest first, at most `max`. Each is named again only after
    /// three seconds, unless removed before.
    pub fn expired(&mut self, now_ms: u64, max: usize) -> Vec<LeaseId> {
        let mut expired = Vec::new();
        while expired.len() < max
            && let Some(&Reverse((look_ms, id))) = self.queue.peek()
            && look_ms <= now_ms
        {
            self.queue.pop();
            let Some(held) = self.leases.get_mut(&id).filter(|held| held.look_ms == look_ms) else {
                continue;
            };
            held.look_ms = held.deadline_ms;
            if held.deadline_ms <= now_ms {
                held.look_ms = now_ms + RETRY_MS;
                expired.push(id);
            }
            self.queue.push(Reverse((held.look_ms, id)));
        }
        expired
    }

    /// All leases, those that end soonest first.
    pub fn sorted_by_expiry(&self) -> Vec<LeaseId> {
        let mut leases: Vec<_> =
            self.leases.iter().map(|(id, held)| (held.deadline_ms, *id)).collect();
        leases.sort_unstable();
        leases.into_iter().map(|(_, id)| id).collect()
    }
}

fn end_of(ttl_s: i64, now_ms: u64) -> u64 {
    now_ms.saturating_add(u64::try_from(ttl_s).unwrap_or(0).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LeaseId = LeaseId(1);
    const B: LeaseId = LeaseId(2);

    fn lessor() -> Lessor {
        let mut lessor = Lessor::default();
        lessor.promote(0, [(A, 5), (B, 10)], 0);
        lessor
    }

    #[test]
    fn leases_expire_in_order_and_are_named_again_until_removed() {
        let mut lessor = lessor();
        assert_eq!(lessor.expired(4_999, 10), []);
        assert_eq!(lessor.expired(20_000, 1), [A]);
        assert_eq!(lessor.expired(20_000, 10), [B]);
        assert_eq!(lessor.expired(22_999, 10), []);
        lessor.removed(A);
        assert_eq!(lessor.expired(23_000, 10), [B]);
    }

    #[test]
    fn renewal_gives_the_full_time_but_not_after_the_end() {
        let mut lessor = lessor();
        assert_eq!(lessor.renew(A, 4_000), Some(5));
        assert_eq!(lessor.expired(5_000, 10), []);
        assert_eq!(lessor.remaining_ms(A, 5_000), Some(4_000));
        assert_eq!(lessor.renew(A, 9_000), None);
        assert_eq!(lessor.expired(9_000, 10), [A]);
        assert_eq!(lessor.renew(LeaseId(9), 0), None);
    }

    #[test]
    fn a_new_leader_gives_everything_its_full_time_and_more() {
        let mut lessor = lessor();
        lessor.promote(100_000, [(A, 5)], 1_000);
        assert_eq!(lessor.remaining_ms(A, 100_000), Some(6_000));
        assert_eq!(lessor.remaining_ms(B, 100_000), None);
        // Renewing early must not take away what the extension gave.
        assert_eq!(lessor.renew(A, 100_000), Some(5));
        assert_eq!(lessor.remaining_ms(A, 100_000), Some(6_000));
        lessor.demote();
        lessor.granted(B, 5, 100_000);
        assert_eq!(lessor.sorted_by_expiry(), []);
    }

    #[test]
    fn an_id_granted_again_is_not_ended_by_its_predecessor() {
        let mut lessor = lessor();
        lessor.removed(A);
        lessor.granted(A, 60, 1_000);
        assert_eq!(lessor.expired(6_000, 10), []);
        assert_eq!(lessor.sorted_by_expiry(), [B, A]);
    }

    #[test]
    fn the_queue_stays_bounded_under_churn() {
        let mut lessor = lessor();
        for id in 10..100_000 {
            lessor.granted(LeaseId(id), 1_000, 0);
            lessor.removed(LeaseId(id));
        }
        assert!(lessor.queue.len() <= 2 * 2 + QUEUE_SLACK + 1);
        assert_eq!(lessor.expired(5_000, 10), [A]);
    }
}
