//! Handing a received snapshot to raft, when raft is ready for it.
//!
//! openraft takes what a snapshot covers out of its list of log ids the moment it is told of the
//! snapshot, but orders its installation behind whatever waits in its queue of commands. If the
//! queue is held up in front of it while there are entries to apply, openraft looks up the id of
//! the next one, does not find it and panics (its issue 2116; docs/decisions/0006). So a snapshot
//! is handed over only while nothing waits: no append is on its way, everything accepted is synced,
//! and no other snapshot is being installed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::Fatal;
use openraft::raft::AppendEntriesRequest;
use tokio::sync::{Mutex, OwnedRwLockReadGuard, RwLock};

use crate::log::to_position;
use crate::node::Shared;
use crate::types::{LogId, Raft, Snapshot, TypeConfig, Vote};

/// Keeps appends and installations apart; clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    /// Shared by the appends that raft has not answered.
    appends: Arc<RwLock<()>>,
    /// One installation at a time.
    installing: Arc<Mutex<()>>,
}

impl Gate {
    /// Held by an append until raft has answered it.
    pub(super) async fn pass(&self) -> OwnedRwLockReadGuard<()> {
        self.appends.clone().read_owned().await
    }

    /// Installs a snapshot when nothing is on its way, and returns the vote of this member.
    /// `is_held` tells whether the log has an entry: then its leader's log is the same up to there.
    ///
    /// # Errors
    /// When raft has ended.
    pub(crate) async fn install(
        &self,
        raft: &Raft,
        vote: Vote,
        snapshot: Snapshot,
        is_held: impl FnOnce(LogId) -> bool,
    ) -> io::Result<Vote> {
        let _alone = self.installing.lock().await;
        let appends = self.appends.write().await;
        // An append of nothing is answered when everything before it is synced. Appends whose
        // connection broke are in raft's queue although nobody waits for them here.
        let settled = raft.append_entries(nothing(vote)).await.map_err(io::Error::other)?;
        let last = snapshot.meta.last_log_id;
        if settled.is_success() && last.is_some_and(is_held) {
            // The leader lost track of what this member has; to go back would be wrong.
            return Ok(vote);
        }
        let mut installed = std::pin::pin!(raft.install_full_snapshot(vote, snapshot));
        let installed = tokio::select! {
            refused = &mut installed => refused,
            known = known(raft, last) => {
                known.map_err(io::Error::other)?;
                drop(appends);
                installed.await
            }
        };
        installed.map(|response| response.vote).map_err(io::Error::other)
    }
}

/// How often raft is asked whether it knows of a snapshot. It takes snapshots from a channel of its
/// own, as soon as it is done with what it has at hand.
const KNOWN_PAUSE: Duration = Duration::from_millis(1);

/// Returns once raft knows of a snapshot up to `last`. Its installation has begun then: nothing
/// was in front of it.
async fn known(raft: &Raft, last: Option<LogId>) -> Result<(), Fatal<TypeConfig>> {
    while raft.with_raft_state(move |state| state.snapshot_meta.last_log_id < last).await? {
        tokio::time::sleep(KNOWN_PAUSE).await;
    }
    Ok(())
}

fn nothing(vote: Vote) -> AppendEntriesRequest<TypeConfig> {
    AppendEntriesRequest { vote, prev_log_id: None, leader_commit: None, entries: Vec::new() }
}

/// As [`Gate::install`]; goes on when the connection that brought the snapshot ends meanwhile.
pub(super) async fn install(
    shared: Arc<Shared>,
    vote: Vote,
    snapshot: Snapshot,
) -> io::Result<Vote> {
    let installing = tokio::spawn(async move {
        let is_held = |last: LogId| {
            let found = tokio::task::block_in_place(|| shared.log.position_of(last.index));
            matches!(found, Ok(Some(position)) if position == to_position(last))
        };
        shared.gate.install(&shared.raft, vote, snapshot, is_held).await
    });
    installing.await.map_err(io::Error::other)?
}

#[cfg(test)]
#[path = "install_tests.rs"]
mod tests;
