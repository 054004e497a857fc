//! The leader's tasks around leases: taking the book over, and revoking what has expired.

use std::sync::Arc;
use std::time::Duration;

use api::Error;
use store::{LeaseId, Op};

use crate::member::Member;

/// Leases revoked by one entry of the log (design section 5: "in batches").
const BATCH_MAX: usize = 1000;

/// Pause after a revocation that could not be proposed.
const RETRY: Duration = Duration::from_millis(500);

/// Follows the leadership and takes the book over with it, until the node stops.
pub async fn run_takeover(member: Arc<Member>) {
    let mut leadership = member.node.leadership();
    loop {
        let current = *leadership.borrow_and_update();
        if !current.is_self {
            member.leases.demote();
        } else if member.node.read_index().await.is_ok() {
            // Whatever earlier leaders committed has been applied: their leases count.
            take_over(&member, current.term);
        } else {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

fn take_over(member: &Member, term: u64) {
    member.leases.promote(term, &member.store, member.limits.election_ms);
    // The leadership may have gone while the book was filled.
    if !leads_in(member, term) {
        member.leases.demote();
    }
}

fn leads_in(member: &Member, term: u64) -> bool {
    let leadership = *member.node.leadership().borrow();
    leadership.is_self && leadership.term == term
}

/// Revokes expired leases, until the node stops. It sleeps exactly to the next deadline: without
/// leases nothing ever wakes it.
pub async fn run(member: Arc<Member>) {
    loop {
        member.leases.next_deadline().await;
        while let Some((term, expired)) = member.leases.take_expired(BATCH_MAX) {
            let count = expired.len();
            if let Err(error) = revoke(&member, term, expired).await {
                tracing::warn!(%error, count, "could not revoke expired leases; trying again");
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// A process that was paused finds every lease expired although another leader has extended them:
/// so the leadership is confirmed by a majority before anything is revoked.
async fn revoke(member: &Member, term: u64, expired: Vec<LeaseId>) -> Result<(), Error> {
    member.node.read_index().await?;
    if !leads_in(member, term) {
        member.leases.demote();
        return Ok(());
    }
    member.node.propose_op(Op::LeaseRevoke(expired)).await.map(drop)
}
