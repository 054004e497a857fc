//! Auto-compaction: the leader proposes what the policy decides. Other members sleep.

use std::sync::Arc;
use std::time::{Duration, Instant};

use api::Error;
use api::etcdserverpb::CompactionRequest;
use store::Op;

use super::periodic::Periodic;
use super::retention;
use crate::config::AutoCompaction;
use crate::member::Member;

/// A policy with what it remembers.
enum Policy {
    Periodic(Periodic),
    Revisions(u64),
}

impl Policy {
    fn new(mode: AutoCompaction) -> Option<Self> {
        match mode {
            AutoCompaction::Off => None,
            AutoCompaction::Periodic(retention) => {
                Some(Self::Periodic(Periodic::new(retention.as_millis() as u64)))
            }
            AutoCompaction::Revisions(keep) => Some(Self::Revisions(keep)),
        }
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Periodic(periodic) => periodic.sample_every_ms(),
            Self::Revisions(_) => retention::CHECK_EVERY_MS,
        })
    }

    fn decide(&mut self, now_ms: u64, member: &Member) -> Option<i64> {
        let current = member.store.current_revision();
        let compacted = member.store.compact_revision();
        match self {
            Self::Periodic(periodic) => {
                periodic.sample(now_ms, current).filter(|target| *target > compacted.max(0))
            }
            Self::Revisions(keep) => retention::target(current, compacted, *keep),
        }
    }
}

/// Compacts as configured while this member leads, until the node stops.
pub async fn run(member: Arc<Member>, mode: AutoCompaction) {
    let started = Instant::now();
    let mut leadership = member.node.leadership();
    while leadership.wait_for(|leadership| leadership.is_self).await.is_ok() {
        // What an earlier leader sampled is not known here: the time starts over.
        let Some(mut policy) = Policy::new(mode) else { return };
        while leadership.borrow().is_self {
            if let Some(revision) = policy.decide(started.elapsed().as_millis() as u64, &member) {
                compact(&member, revision).await;
            }
            let lost = leadership.wait_for(|leadership| !leadership.is_self);
            if tokio::time::timeout(policy.pause(), lost).await.is_ok() {
                break;
            }
        }
    }
}

async fn compact(member: &Member, revision: i64) {
    let request = CompactionRequest { revision, physical: false };
    match member.node.propose_op(Op::Compact(request)).await {
        Ok(_) => tracing::info!(revision, "compacted as configured by --auto-compaction-mode"),
        // Somebody else was faster.
        Err(Error::Compacted) => {}
        Err(error) => tracing::warn!(revision, %error, "could not compact; trying again later"),
    }
}
