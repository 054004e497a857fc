//! Who leads, as this member knows it.

use std::sync::Arc;

use openraft::async_runtime::watch::WatchReceiver;
use store::MemberId;
use tokio::sync::watch;

use crate::members::joiners;
use crate::node::Shared;

/// The leader and its term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, when one is known.
    pub leader: Option<MemberId>,
    /// The newest term seen.
    pub term: u64,
    /// Whether this member is the leader.
    pub is_self: bool,
}

impl Shared {
    /// Returns the leader as soon as one is known.
    pub(crate) async fn wait_for_leader(&self) -> u64 {
        let mut leadership = self.leadership.subscribe();
        loop {
            if let Some(leader) = leadership.borrow_and_update().leader {
                return leader.0;
            }
            if leadership.changed().await.is_err() {
                // The node is going away; the caller's deadline ends the wait.
                std::future::pending::<()>().await;
            }
        }
    }
}

/// Follows openraft's reports of leader, term and membership until it stops; a stop that nobody
/// asked for is fatal. Its reports of the log's progress are left alone: they come with every
/// write, and each would wake a task.
pub(crate) async fn observe(shared: Arc<Shared>, leadership: watch::Sender<Leadership>) {
    let mut metrics = shared.raft.server_metrics();
    loop {
        {
            let now = metrics.borrow_watched();
            let leader = now.current_leader.map(MemberId);
            let current = Leadership {
                leader,
                term: now.vote.leader_id().term,
                is_self: leader == Some(MemberId(shared.local.member)),
            };
            leadership.send_if_modified(|known| {
                let changed = *known != current;
                *known = current;
                changed
            });
            let membership = &now.membership_config;
            if current.is_self
                && (membership.get_joint_config().len() > 1 || !joiners(membership).is_empty())
            {
                shared.members_to_tend.notify_one();
            }
        }
        if metrics.changed().await.is_err() {
            let reason = shared.raft.metrics().borrow_watched().running_state.clone().err();
            let reason = reason.map_or("raft has ended".to_owned(), |error| error.to_string());
            return shared.stopped(&reason);
        }
    }
}
