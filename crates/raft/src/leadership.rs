//! Who leads, as this member knows it.

use std::sync::Arc;
use std::time::{Duration, Instant as StdInstant};

use openraft::Instant;
use openraft::async_runtime::watch::WatchReceiver;
use store::MemberId;
use tokio::sync::watch;

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

/// Since when a member leads. A process that stood still, because its machine was paused or had no
/// processor to give, has heard of nobody for that time, and that says nothing about the others: so
/// the time begins anew when it goes on.
#[derive(Debug, Default)]
pub(crate) struct Leading {
    since: Option<StdInstant>,
    /// By when it is looked at again, unless the process stands still.
    next_look: Option<StdInstant>,
}

impl Leading {
    fn note(&mut self, now: StdInstant, leads: bool, next_look_in: Duration) {
        let since = self.since(now).unwrap_or(now);
        self.since = leads.then_some(since);
        self.next_look = now.checked_add(next_look_in);
    }

    fn since(&self, now: StdInstant) -> Option<StdInstant> {
        self.since.filter(|_| self.next_look.is_none_or(|by| now < by))
    }
}

impl Shared {
    fn why_ended(&self) -> Option<String> {
        let ended = self.raft.metrics().borrow_watched().running_state.clone().err();
        ended.map(|error| error.to_string())
    }

    /// Reports an end of raft that was kept quiet while it might have been meant.
    pub(crate) fn report_if_ended(&self) {
        if let Some(reason) = self.why_ended() {
            self.stopped(&reason);
        }
    }

    /// Since when this member leads without having stood still.
    pub(crate) fn leads_since(&self) -> Option<StdInstant> {
        self.leading.lock().since(StdInstant::now())
    }

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
        let alone = {
            let now = metrics.borrow_watched();
            let membership = &now.membership_config;
            let leader = now.current_leader.map(MemberId);
            let is_self = leader == Some(MemberId(shared.local.member));
            let alone = is_self && membership.nodes().count() == 1;
            let is_only_voter = is_self && membership.voter_ids().eq([shared.local.member]);
            let current = Leadership {
                // A majority of one is always there, also beside a learner that never comes.
                leader: leader.filter(|_| is_only_voter || shared.hears_of_leader(is_self)),
                term: now.vote.leader_id().term,
                is_self,
            };
            leadership.send_if_modified(|known| {
                let changed = *known != current;
                *known = current;
                changed
            });
            let next_look_in = if alone { FOREVER } else { 3 * shared.election_timeout / 2 };
            shared.leading.lock().note(StdInstant::now(), is_self, next_look_in);
            if is_self {
                shared.local.machine.members_to_tend.notify_one();
            }
            alone
        };
        // A leader without anybody else has no heartbeat to send and no rival to wait for: its
        // clock stands still, so an idle member sleeps.
        shared.raft.runtime_config().tick(!alone);
        let limit = if alone { FOREVER } else { shared.election_timeout };
        if let Ok(Err(_)) = tokio::time::timeout(limit, metrics.changed()).await {
            let reason = shared.why_ended().unwrap_or_else(|| "raft has ended".to_owned());
            return shared.stopped(&reason);
        }
    }
}

/// Longer than any process lives.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 86_400);

impl Shared {
    /// Whether there are signs of life from the leader that openraft names: a follower must have
    /// heard from it, a leader from a majority, within two election timeouts. openraft itself
    /// keeps naming a leader that is gone until another one is elected.
    fn hears_of_leader(&self, is_self: bool) -> bool {
        let silence = if is_self {
            let acked = self.raft.metrics().borrow_watched().last_quorum_acked;
            acked.map_or(Duration::ZERO, |at| at.elapsed())
        } else {
            self.local.silence()
        };
        silence < 2 * self.election_timeout
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_that_stood_still_leads_since_it_went_on() {
        let second = Duration::from_secs(1);
        let (began, mut leading) = (StdInstant::now(), Leading::default());
        assert_eq!(leading.since(began), None);
        leading.note(began, true, second);
        leading.note(began + second / 2, true, second);
        assert_eq!(leading.since(began + second), Some(began));
        // It should have been looked at by now.
        assert_eq!(leading.since(began + 2 * second), None);
        leading.note(began + 2 * second, true, second);
        assert_eq!(leading.since(began + 2 * second), Some(began + 2 * second));
        leading.note(began + 2 * second, false, second);
        assert_eq!(leading.since(began + 2 * second), None);
    }
}
