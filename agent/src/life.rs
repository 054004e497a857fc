//! What the process is doing, from its first to its last moment: for those who ask it, and for the
//! service manager.
//!
//! One value of it exists before there is a member and after the member is gone. It is also the way
//! by which a request asks the process to leave the cluster: the process's own loop does that, so
//! that it goes on when whoever asked has hung up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use raft::LeaveError;
use tokio::sync::{mpsc, oneshot, watch};

use crate::member::Member;
use crate::notify;

/// Requests to leave that wait for the one under way.
const ORDERS_MAX: usize = 4;

/// Where the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no place in a cluster yet and asks for one.
    Joining,
    /// It has its place, and does not serve clients yet.
    Starting,
    /// It serves.
    Member,
    /// It has been asked to leave and is about to.
    Leaving,
    /// It has left by itself and waits to be stopped.
    Left,
    /// It cannot start: somebody has to do something.
    Refused,
}

impl State {
    /// As the admin socket spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joining => "joining",
            Self::Starting => "starting",
            Self::Member => "member",
            Self::Leaving => "leaving",
            Self::Left => "left",
            Self::Refused => "refused",
        }
    }
}

/// A state and why it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Where the process stands.
    pub state: State,
    /// One line; empty when there is nothing to say.
    pub reason: String,
}

/// Somebody wants this member to leave the cluster and waits for the outcome.
#[derive(Debug)]
pub struct LeaveOrder(oneshot::Sender<Result<(), LeaveError>>);

impl LeaveOrder {
    /// Tells how it went. Whoever asked may have hung up.
    pub fn answer(self, outcome: Result<(), LeaveError>) {
        let _ = self.0.send(outcome);
    }
}

/// See the module.
pub struct Life {
    name: String,
    stage: watch::Sender<Stage>,
    /// For the way back from leaving.
    has_served: AtomicBool,
    /// Set and taken away a few times in a life, never held across a wait.
    member: Mutex<Option<Arc<Member>>>,
    orders: mpsc::Sender<LeaveOrder>,
}

impl Life {
    /// The life of the member called `name`, and where its orders to leave come in.
    pub fn new(name: &str) -> (Arc<Self>, mpsc::Receiver<LeaveOrder>) {
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let stage = Stage { state: State::Starting, reason: String::new() };
        let life = Self {
            name: name.to_owned(),
            stage: watch::Sender::new(stage),
            has_served: AtomicBool::new(false),
            member: Mutex::new(None),
            orders,
        };
        (Arc::new(life), received)
    }

    /// `--name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the process stands now.
    pub fn stage(&self) -> Stage {
        self.stage.borrow().clone()
    }

    /// Follows where the process stands.
    pub fn stages(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    /// Goes to a state, or says why the current one lasts; the service manager shows the same.
    pub fn enter(&self, state: State, reason: impl Into<String>) {
        let stage = Stage { state, reason: reason.into() };
        let is_new = self.stage.send_if_modified(|current| {
            let is_new = *current != stage;
            current.clone_from(&stage);
            is_new
        });
        if is_new {
            tracing::info!(state = state.as_str(), reason = stage.reason, "state changed");
            notify::status(&stage);
        }
    }

    /// The cluster has this member's name and addresses: it serves. One that is leaving already
    /// stays that.
    pub fn serves(&self) {
        self.has_served.store(true, Ordering::Relaxed);
        if self.stage.borrow().state == State::Starting {
            self.enter(State::Member, "");
        }
    }

    /// Leaving came to nothing.
    pub fn stays(&self) {
        let has_served = self.has_served.load(Ordering::Relaxed);
        self.enter(if has_served { State::Member } else { State::Starting }, "");
    }

    /// The member, while there is one.
    pub fn member(&self) -> Option<Arc<Member>> {
        self.member.lock().clone()
    }

    /// There is a member from now on, or none any more.
    pub fn set_member(&self, member: Option<Arc<Member>>) {
        *self.member.lock() = member;
    }

    /// Asks the process to leave the cluster and waits until it has: the member is stopped then, and
    /// its directory is closed.
    ///
    /// # Errors
    /// Those of leaving; `Failed` when the process ends first.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        let ended = || LeaveError::Failed("the process ends".to_owned());
        let (answer, outcome) = oneshot::channel();
        self.orders.send(LeaveOrder(answer)).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_order_to_leave_is_answered_by_whoever_runs_the_process() {
        let (life, mut orders) = Life::new("a");
        let asking = tokio::spawn({
            let life = life.clone();
            async move { life.leave().await }
        });
        orders.recv().await.expect("an order").answer(Err(LeaveError::LastVoter));
        let outcome = asking.await.expect("no panic");
        assert!(matches!(outcome, Err(LeaveError::LastVoter)));
        drop(orders);
        assert!(matches!(life.leave().await, Err(LeaveError::Failed(_))));
    }

    #[test]
    fn a_member_that_stays_is_what_it_was_before() {
        let (life, _orders) = Life::new("a");
        life.enter(State::Leaving, "");
        life.stays();
        assert_eq!(life.stage().state, State::Starting);
        life.enter(State::Leaving, "");
        life.serves();
        assert_eq!(life.stage().state, State::Leaving, "it serves no new clients");
        life.stays();
        assert_eq!(life.stage().state, State::Member);
    }

    #[test]
    fn a_reason_is_told_once() {
        let (life, _orders) = Life::new("a");
        let mut stages = life.stages();
        life.enter(State::Joining, "no seed answers");
        assert!(stages.has_changed().expect("alive"));
        stages.mark_unchanged();
        life.enter(State::Joining, "no seed answers");
        assert!(!stages.has_changed().expect("alive"));
        assert_eq!(life.stage().reason, "no seed answers");
    }
}
