//! Getting a place in a cluster, as far as the process has a part in it: saying how it goes.

use anyhow::Context;
use raft::JoinProgress;
use tokio::sync::watch;

use crate::life::{Life, State};

/// What joining came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// The data directory belongs to a member: it can start.
    Ready,
    /// The member that the data directory belonged to has left, and nothing says to come back.
    Left,
}

/// Brings the data directory to where the node can start. Dropping the future ends it at once;
/// the next start goes on where it was.
///
/// # Errors
/// What a person has to do something about, in one line.
pub async fn join(config: &raft::Config, life: &Life) -> anyhow::Result<Joined> {
    let (progress, seen) = watch::channel(JoinProgress::Inspecting);
    let joining = async {
        let outcome = raft::join(config, &progress).await.context("cannot join");
        drop(progress);
        outcome
    };
    let (outcome, is_left) = tokio::join!(joining, follow(seen, life));
    outcome?;
    Ok(if is_left { Joined::Left } else { Joined::Ready })
}

/// Says what happens until joining ends, and whether it ended with nothing to join.
async fn follow(mut seen: watch::Receiver<JoinProgress>, life: &Life) -> bool {
    loop {
        let progress = seen.borrow_and_update().clone();
        let is_left = matches!(progress, JoinProgress::Left);
        match progress {
            JoinProgress::Inspecting => life.enter(State::Joining, ""),
            JoinProgress::Waiting { reason } | JoinProgress::Claiming { reason } => {
                life.enter(State::Joining, reason);
            }
            JoinProgress::Granted { cluster, member } => {
                tracing::info!(cluster = format!("{cluster:x}"), %member, "has a place");
                life.enter(State::Starting, "");
            }
            JoinProgress::Left => life.enter(State::Left, ""),
        }
        if seen.changed().await.is_err() {
            return is_left;
        }
    }
}
