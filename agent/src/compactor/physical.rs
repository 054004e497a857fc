//! Removes the rows that a compaction has given up, in small steps with pauses between them, so
//! that reads and writes are not held up.

use std::sync::Arc;
use std::time::Duration;

use crate::member::Member;

/// How it is done.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Rows removed at once: `--compaction-batch-limit`.
    pub rows_max: usize,
    /// `--compaction-sleep-interval`.
    pub pause: Duration,
}

/// Works off every compaction, starting with what an earlier process left, until the node stops.
pub async fn run(member: Arc<Member>, steps: Steps) {
    let mut compacted = member.standing.compacted.subscribe();
    loop {
        let revision = *compacted.borrow_and_update();
        if revision > 0 {
            remove(&member, steps).await;
            member.standing.rows_removed(revision);
        }
        if compacted.changed().await.is_err() {
            return;
        }
    }
}

async fn remove(member: &Arc<Member>, steps: Steps) {
    loop {
        let node = member.node.clone();
        // Handing rows to a busy database may wait for it.
        let step = tokio::task::spawn_blocking(move || node.compact_step(steps.rows_max));
        if !step.await.unwrap_or(false) {
            return;
        }
        tokio::time::sleep(steps.pause).await;
    }
}
