//! Members that go in order: by themselves, or because somebody asks for it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use api::Error;
use bytes::{Bytes, BytesMut};
use storage::Standing;
use thiserror::Error;
use tokio::time::Instant;

use super::admission::Life;
use super::drive::new_operation;
use super::operation::{OpenOperation, OperationKind, RemovalReason};
use super::quorum::{Harm, check_removal};
use crate::codec::{DecodeError, Wire};
use crate::node::Shared;
use crate::peer::Method;

/// How long leaving may take, with every change of leader in between.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a removal waits for other operations.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause before the leader is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Why a member did not leave. It still is one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum LeaveError {
    /// Nobody would be left to vote.
    #[error("this is the last voting member; it cannot leave, stop it instead")]
    LastVoter,
    /// Nobody leads, or the leader did not answer in time.
    #[error(
        "no majority of the members agreed in time: {0}; start members that are down and try again"
    )]
    NoQuorum(String),
    /// The leader refuses, or the disk failed.
    #[error("{0}")]
    Failed(String),
}

/// Why a member was not removed.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RemoveError {
    /// There is no such member.
    #[error("there is no such member; see the list of members")]
    NotFound,
    /// Nobody would be left to vote.
    #[error("this is the last voting member; it cannot be removed")]
    LastVoter,
    /// The cluster would not stay able to write.
    #[error("{0}")]
    Unsafe(String),
    /// Nobody leads, or the leader did not answer in time.
    #[error("no majority of the members agreed in time: {0}")]
    NoQuorum(String),
}

/// What the leader is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retirement {
    pub(crate) member: u64,
    pub(crate) reason: RemovalReason,
    /// The member itself asks.
    pub(crate) is_own_wish: bool,
}

/// What the leader answers.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    /// It is no member any more.
    Removed,
    NotFound,
    LastVoter,
    Unsafe(String),
    /// Something else is under way.
    Busy(String),
}

impl Wire for Retirement {
    fn put(&self, buffer: &mut BytesMut) {
        self.member.put(buffer);
        self.reason.put(buffer);
        self.is_own_wish.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            member: u64::parse(bytes)?,
            reason: RemovalReason::parse(bytes)?,
            is_own_wish: bool::parse(bytes)?,
        })
    }
}

impl Wire for Verdict {
    fn put(&self, buffer: &mut BytesMut) {
        let (number, text) = match self {
            Self::Removed => (0u8, ""),
            Self::NotFound => (1, ""),
            Self::LastVoter => (2, ""),
            Self::Unsafe(text) => (3, text.as_str()),
            Self::Busy(text) => (4, text.as_str()),
        };
        number.put(buffer);
        text.to_owned().put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let (number, text) = (u8::parse(bytes)?, String::parse(bytes)?);
        Ok(match number {
            0 => Self::Removed,
            1 => Self::NotFound,
            2 => Self::LastVoter,
            3 => Self::Unsafe(text),
            4 => Self::Busy(text),
            _ => return Err(DecodeError::Undefined("the answer to a removal")),
        })
    }
}

impl Shared {
    /// Answers, on the leader, who wants a member out. The caller holds `changing`.
    pub(crate) async fn answer_retirement(&self, asked: Retirement) -> Result<Bytes, Error> {
        self.retire(asked).await.map(|verdict| verdict.to_bytes())
    }

    async fn retire(&self, asked: Retirement) -> Result<Verdict, Error> {
        if self.local.machine.is_removed(asked.member) {
            return Ok(Verdict::Removed);
        }
        if !self.leads_for_certain() {
            return Ok(Verdict::Busy("the leader has only just been elected".to_owned()));
        }
        let membership = self.membership();
        if membership.get_node(&asked.member).is_none() {
            // A removal that is in the log and not committed may be taken back.
            let applied = self.local.machine.membership.read();
            return Ok(match applied.stored.get_node(&asked.member) {
                Some(_) => Verdict::Busy("its removal is not committed yet".to_owned()),
                None => Verdict::NotFound,
            });
        }
        let voters = self.lives_of_voters(&membership);
        if voters.iter().any(|(_, life)| *life == Life::Unknown) {
            return Ok(Verdict::Busy("who of the members is alive is not known yet".to_owned()));
        }
        match check_removal(&voters, asked.member) {
            Ok(()) => {}
            Err(Harm::LastVoter) => return Ok(Verdict::LastVoter),
            Err(Harm::NoMajority { alive, voters }) => {
                return Ok(Verdict::Unsafe(format!(
                    "only {alive} of the {voters} voting members that stay are alive; start the \
                     others or remove them first"
                )));
            }
        }
        let open = self.open_operation();
        match open.filter(|open| !is_about(open, asked.member)) {
            None => self.carry_out(asked).await,
            Some(open) => Ok(Verdict::Busy(format!(
                "the {} of member {:?} is under way",
                open.kind.as_str(),
                open.name
            ))),
        }
    }

    /// Takes the place of an open operation about the same member, such as its join.
    async fn carry_out(&self, asked: Retirement) -> Result<Verdict, Error> {
        let expected = self.open_operation().map(|open| open.id);
        let kind = if asked.is_own_wish { OperationKind::Leave } else { OperationKind::Remove };
        let operation = OpenOperation {
            reason: asked.reason,
            ..new_operation(kind, asked.member, &self.name_of(asked.member))
        };
        let name = &operation.name;
        tracing::info!(kind = kind.as_str(), %name, reason = %asked.reason, "a member goes");
        self.record(expected, Some(operation)).await?;
        if asked.member == self.local.member {
            // It leads no longer once it is out, so the next leader closes the operation.
            self.take_out(asked.member).await?;
        } else {
            self.drive().await?;
        }
        Ok(match self.local.machine.is_removed(asked.member) {
            true => Verdict::Removed,
            false => Verdict::Busy("the members that are alive have just changed".to_owned()),
        })
    }

    pub(super) fn name_of(&self, member: u64) -> String {
        let attributes = self.local.machine.store.read(|store| store.members());
        attributes
            .iter()
            .find(|known| known.member.0 == member)
            .map(|known| known.name.clone())
            .unwrap_or_default()
    }

    /// Asks the leader until the member is out.
    ///
    /// # Errors
    /// The last thing that was in the way when the time is over; a refusal that waiting cannot
    /// change at once.
    pub(crate) async fn remove_in_order(&self, asked: Retirement) -> Result<(), RemoveError> {
        let deadline = Instant::now() + REMOVE_TIMEOUT;
        loop {
            let refusal = match self.ask_to_retire(asked, deadline).await {
                Ok(Verdict::Removed) => return Ok(()),
                Ok(Verdict::NotFound) => return Err(RemoveError::NotFound),
                Ok(Verdict::LastVoter) => return Err(RemoveError::LastVoter),
                Ok(Verdict::Unsafe(text)) => return Err(RemoveError::Unsafe(text)),
                Ok(Verdict::Busy(text)) => RemoveError::Unsafe(text),
                Err(error) => RemoveError::NoQuorum(error.to_string()),
            };
            if Instant::now() + ASK_AGAIN >= deadline {
                return Err(refusal);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    async fn ask_to_retire(&self, asked: Retirement, limit: Instant) -> Result<Verdict, Error> {
        let asking = self.call_leader(Method::Retire as u8, asked.to_bytes());
        let mut answer =
            tokio::time::timeout_at(limit, asking).await.unwrap_or(Err(Error::Timeout))?;
        Verdict::parse(&mut answer).map_err(|error| Error::Internal(error.to_string()))
    }

    /// Gets this member out of the cluster, by its own wish. While it lasts, hearing of the removal
    /// is no reason to end the process.
    pub(crate) async fn leave(&self) -> Result<(), LeaveError> {
        self.local.leaving.store(true, Ordering::Release);
        let left = self.ask_to_leave().await;
        match &left {
            Ok(()) => {
                let marking =
                    tokio::task::block_in_place(|| self.local.data_dir.retire(Standing::Left));
                marking.map_err(|error| {
                    // It is out all the same, and nobody else will end it.
                    let reason = format!("this member has left, and cannot write it down: {error}");
                    self.local.leaving.store(false, Ordering::Release);
                    self.stopped(&reason);
                    LeaveError::Failed(reason)
                })
            }
            Err(_) => {
                self.local.leaving.store(false, Ordering::Release);
                self.report_if_ended();
                left
            }
        }
    }

    async fn ask_to_leave(&self) -> Result<(), LeaveError> {
        let deadline = Instant::now() + LEAVE_TIMEOUT;
        let reason = RemovalReason::ScaleIn;
        let asked = Retirement { member: self.local.member, reason, is_own_wish: true };
        loop {
            if self.is_last_voter() {
                return Err(LeaveError::LastVoter);
            }
            self.hand_over().await;
            let refusal = match self.ask_unless_removed(asked, deadline).await {
                None | Some(Ok(Verdict::Removed | Verdict::NotFound)) => return Ok(()),
                Some(Ok(Verdict::LastVoter)) => return Err(LeaveError::LastVoter),
                Some(Ok(Verdict::Unsafe(text) | Verdict::Busy(text))) => LeaveError::Failed(text),
                Some(Err(error)) => LeaveError::NoQuorum(error.to_string()),
            };
            if Instant::now() + ASK_AGAIN >= deadline {
                return Err(refusal);
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// The leader's answer, or `None` when this member has learnt otherwise that it is out: a
    /// leader talks no more to a member it has removed, so its answer may be lost.
    async fn ask_unless_removed(
        &self,
        asked: Retirement,
        limit: Instant,
    ) -> Option<Result<Verdict, Error>> {
        let mut learnt = self.local.removal_learnt.subscribe();
        tokio::select! {
            verdict = self.ask_to_retire(asked, limit) => Some(verdict),
            Ok(_) = learnt.wait_for(|removed| *removed) => None,
        }
    }

    fn is_last_voter(&self) -> bool {
        let membership = self.local.machine.membership.read();
        membership.stored.voter_ids().eq([self.local.member])
    }
}

fn is_about(open: &OpenOperation, member: u64) -> bool {
    open.member == member
}

impl Shared {
    /// The members that are no more, by id.
    pub(crate) fn tombstones(&self) -> Vec<super::Tombstone> {
        self.local.machine.membership.read().tombstones.values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_and_answered_survives() {
        let asked = Retirement { member: 3, reason: RemovalReason::ScaleIn, is_own_wish: true };
        assert_eq!(Retirement::parse(&mut asked.to_bytes()), Ok(asked));
        for verdict in [
            Verdict::Removed,
            Verdict::NotFound,
            Verdict::LastVoter,
            Verdict::Unsafe("a".to_owned()),
            Verdict::Busy("b".to_owned()),
        ] {
            assert_eq!(Verdict::parse(&mut verdict.to_bytes()), Ok(verdict));
        }
    }
}
