//! The way of a client's command into the log, from any member.
//!
//! A command is sent to the leader at most once: after it may have entered a log it is only waited
//! for. What comes back of it is decided by applying it here, so a client that wrote through this
//! member reads its own write here, even serializably.

use std::sync::Arc;
use std::time::Duration;

use api::Error;
use bytes::Bytes;
use openraft::errors::ClientWriteError;
use openraft::raft::ClientWriteResult;
use store::{Command, Outcome};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use crate::node::Shared;
use crate::peer::{Frame, Kind};
use crate::proposal::ProposalResponder;
use crate::types::TypeConfig;
use crate::waiters::Signal;

/// Pause before a command that was turned away is proposed again: leadership is changing hands.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

impl Shared {
    /// Proposes a command and waits until it has been applied on this member.
    pub(crate) async fn propose(&self, command: Command) -> Outcome {
        let deadline = Instant::now() + self.request_timeout;
        let term = self.leadership.borrow().term;
        loop {
            match self.propose_once(&command, deadline).await? {
                Signal::Applied(outcome) => return outcome,
                Signal::NotProposed => tokio::time::sleep(RETRY_PAUSE).await,
                Signal::TimedOut => return Err(self.timeout_since(term)),
            }
            if Instant::now() >= deadline {
                return Err(self.timeout_since(term));
            }
        }
    }

    /// One attempt: to the leader, then wait.
    async fn propose_once(&self, command: &Command, deadline: Instant) -> Result<Signal, Error> {
        let Ok(leader) = timeout_at(deadline, self.wait_for_leader()).await else {
            return Ok(Signal::TimedOut);
        };
        let mut waiting = self.local.machine.waiters.register(command.id(), deadline)?;
        // Neither of these waits, and so neither needs its timer, unless a queue is full.
        match timeout_at(deadline, self.send(command, leader)).await {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => return Ok(Signal::NotProposed),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(Signal::TimedOut),
        }
        (&mut waiting.receiver).await.map_err(|_| Error::Stopped)
    }

    /// Sends a command to the leader; false when it certainly did not get there.
    async fn send(&self, command: &Command, leader: u64) -> Result<bool, Error> {
        if leader == self.local.member {
            return self.propose_here(command.clone()).await.map(|()| true);
        }
        let link = self.pool.proposals(leader);
        let sequence = command.id().sequence;
        Ok(link.notify(Kind::Propose, sequence, command.encoded().clone()).await.is_ok())
    }

    /// Hands a command to the local raft, which leads or did a moment ago.
    async fn propose_here(&self, command: Command) -> Result<(), Error> {
        let machine = self.local.machine.clone();
        let sequence = command.id().sequence;
        let responder = ProposalResponder::new(move |result| {
            if turned_away(&result) {
                machine.waiters.not_proposed(sequence);
            }
        });
        self.raft.client_write_ff(command, Some(responder)).await.map_err(|_| Error::Stopped)
    }

    /// Proposes what another member forwarded; only a refusal is answered, because the other member
    /// applies the command itself.
    pub(crate) async fn propose_for_peer(
        self: &Arc<Self>,
        number: u64,
        encoded: Bytes,
        replies: mpsc::Sender<Frame>,
    ) {
        let refuse = move || {
            // A connection too busy to take the refusal leaves the client to its timeout.
            let _ = replies.try_send(Frame::new(Kind::ProposeFailed, number, Bytes::new()));
        };
        let Ok(command) = Command::decode(Bytes::copy_from_slice(&encoded)) else {
            return refuse();
        };
        let responder = ProposalResponder::new(move |result| {
            if turned_away(&result) {
                refuse();
            }
        });
        if let Err(error) = self.raft.client_write_ff(command, Some(responder)).await {
            tracing::debug!(%error, "raft takes no proposals");
        }
    }

    /// etcd tells apart why a request timed out.
    fn timeout_since(&self, term: u64) -> Error {
        let now = self.leadership.borrow();
        if now.term != term || now.leader.is_none() {
            Error::TimeoutDueToLeaderFail
        } else {
            Error::Timeout
        }
    }
}

/// Whether a command certainly did not enter the log. A discarded entry may still come back through
/// another leader, so it does not count.
fn turned_away(result: &ClientWriteResult<TypeConfig>) -> bool {
    matches!(
        result,
        Err(ClientWriteError::ForwardToLeader(_) | ClientWriteError::ChangeMembershipError(_))
    )
}
