//! Carrying out operations: the claim that begins one, and the steps until it is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api::Error;
use bytes::Bytes;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use rand::Rng;
use store::{Command, Op};

use super::admission::{Candidate, Circumstances, Decision, Life, decide};
use super::claim::{Claim, ClaimAnswer, known_members};
use super::operation::{OpenOperation, Operation, OperationKind, Record, RemovalReason};
use super::quorum::{Clearance, clear_removal, clear_replacement};
use super::step::{Facts, Step, next_step};
use crate::codec::Wire;
use crate::members::change_error;
use crate::node::Shared;
use crate::types::{Peer, StoredMembership};

/// An operation that is not done by then is rolled back.
const OPERATION_LASTS_MAX: Duration = Duration::from_secs(30 * 60);

/// Steps taken in one go: more than any operation has between two that wait.
const STEPS_MAX: usize = 8;

/// When a claimant that has to wait should ask again.
const CLAIM_AGAIN_MS: u64 = 500;

type Change = ChangeMembers<u64, Peer>;

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Driven {
    /// It is closed.
    Closed,
    /// Its newcomer has yet to catch up, or the leader has to find out who is alive.
    Waits,
}

impl Shared {
    /// Answers a claim. The caller holds `changing`.
    pub(crate) async fn answer_claim(&self, claim: &Claim) -> ClaimAnswer {
        let decision = self.decide_claim(claim);
        let granted = match decision {
            Decision::Granted(member) => self.admitted(member),
            Decision::GoOn => self.go_on_with(claim).await,
            Decision::Adopt(member) => self.adopt(member, claim).await,
            Decision::Join => self.admit(None, claim).await,
            Decision::Replace(old) => self.admit(Some(old), claim).await,
            Decision::Wait(reason) => return wait(reason),
            Decision::Refuse(reason) => return ClaimAnswer::Refuse { reason },
        };
        match granted {
            Ok(member) => ClaimAnswer::Granted {
                cluster: self.local.cluster,
                member,
                members: known_members(&self.membership()),
            },
            // Whatever went wrong: asked again, the claim goes on from there.
            Err(error) => wait(format!("it is not a member yet: {error}")),
        }
    }

    fn decide_claim(&self, claim: &Claim) -> Decision {
        let membership = self.membership();
        let members = self.candidates(&membership);
        let operation = self.open_operation();
        decide(
            claim,
            &Circumstances {
                members: &members,
                operation: operation.as_ref(),
                leads_for_certain: self.leads_for_certain(),
                is_changing: membership.get_joint_config().len() > 1,
            },
        )
    }

    fn candidates(&self, membership: &StoredMembership) -> Vec<Candidate> {
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let attributes = self.local.machine.store.read(|store| store.members());
        membership
            .nodes()
            .map(|(id, peer)| {
                let known = attributes.iter().find(|known| known.member.0 == *id);
                Candidate {
                    id: *id,
                    name: known.map(|known| known.name.clone()).unwrap_or_default(),
                    peer_urls: peer.peer_urls.clone(),
                    incarnation: self.local.incarnation_of(*id, peer).map(|known| known.0),
                    life: self.life_of(*id),
                    votes: voters.contains(id),
                    is_to_vote: voters.contains(id) || peer.becomes_voter,
                }
            })
            .collect()
    }

    /// The operation that is open as far as this member has applied.
    pub(crate) fn open_operation(&self) -> Option<OpenOperation> {
        self.local.machine.membership.read().operation.clone()
    }

    /// The same for people.
    pub(crate) fn operation(&self) -> Option<Operation> {
        let open = self.open_operation()?;
        // Only the leader knows who is alive; what it waits for is not seen elsewhere.
        let clearance = match self.leadership.borrow().is_self {
            true => self.clearance(&open),
            false => Clearance::Clear,
        };
        let phase = self.step_with(&open, clearance).phase();
        Some(Operation {
            kind: open.kind,
            member: store::MemberId(open.member),
            name: open.name,
            phase,
            started_s: open.started_s,
            deadline_s: open.deadline_s,
        })
    }

    /// Whether this member leads with a majority behind it and everything before its term applied:
    /// then what it knows of the members is all there is to know.
    pub(crate) fn leads_for_certain(&self) -> bool {
        let leadership = *self.leadership.borrow();
        let leads = leadership.is_self && leadership.leader.is_some();
        let applied = self.local.machine.applied();
        leads && applied.is_some_and(|applied| applied.leader_id.term == leadership.term)
    }

    /// What the leader can tell of a member's life.
    pub(crate) fn life_of(&self, member: u64) -> Life {
        let limit = 2 * self.election_timeout;
        if member == self.local.member {
            return Life::Alive;
        }
        let Some(led) = self.leads_since().map(|since| since.elapsed()) else {
            return Life::Unknown;
        };
        match self.local.last_heard(member) {
            // What was heard before counts for nothing: that the leader of then is gone is why this
            // one leads.
            Some(silence) if silence < limit && silence <= led => Life::Alive,
            _ if led >= limit => Life::Silent,
            _ => Life::Unknown,
        }
    }

    /// A member that was added by hand and never started is the claimant from now on.
    async fn adopt(&self, member: u64, claim: &Claim) -> Result<u64, Error> {
        let membership = self.membership();
        let known = membership.get_node(&member).ok_or(Error::MemberNotFound)?;
        let peer = Peer {
            peer_urls: claim.peer_urls.clone(),
            incarnation: Some(claim.incarnation.0),
            ..known.clone()
        };
        self.change_membership(Change::SetNodes(BTreeMap::from([(member, peer)]))).await?;
        tracing::info!(member = format!("{member:x}"), name = claim.name, "claim adopts a member");
        Ok(member)
    }

    /// Begins the operation of a newcomer and goes on until it is a learner.
    async fn admit(&self, replaces: Option<u64>, claim: &Claim) -> Result<u64, Error> {
        let kind = if replaces.is_some() { OperationKind::Replace } else { OperationKind::Join };
        let operation = OpenOperation {
            replaces,
            incarnation: Some(claim.incarnation.0),
            peer_urls: claim.peer_urls.clone(),
            ..new_operation(kind, self.unused_id(&claim.peer_urls), &claim.name)
        };
        let member = operation.member;
        self.begin(operation).await?;
        self.drive().await?;
        self.admitted(member)
    }

    async fn go_on_with(&self, claim: &Claim) -> Result<u64, Error> {
        let open = self.open_operation();
        let member = open.map(|open| open.member).ok_or(Error::MemberNotFound)?;
        tracing::info!(
            member = format!("{member:x}"),
            name = claim.name,
            "claim is taken up again"
        );
        self.drive().await?;
        self.admitted(member)
    }

    /// By the applied membership: the newest in the log may be taken back, and who has been told
    /// that it is a member would wait for ever to hear of it.
    fn admitted(&self, member: u64) -> Result<u64, Error> {
        let membership = self.local.machine.membership.read();
        membership.stored.get_node(&member).map(|_| member).ok_or(Error::MemberNotFound)
    }

    /// Records an operation; nothing of it may be done before. The caller holds `changing`.
    pub(crate) async fn begin(&self, operation: OpenOperation) -> Result<(), Error> {
        tracing::info!(
            kind = operation.kind.as_str(),
            member = format!("{:x}", operation.member),
            name = operation.name,
            "membership operation begins"
        );
        self.record(None, Some(operation)).await
    }

    /// Puts another operation in the place of the one that is open.
    pub(crate) async fn record(
        &self,
        expected: Option<u64>,
        next: Option<OpenOperation>,
    ) -> Result<(), Error> {
        let record = Record { expected, next }.to_bytes();
        let id = self.local.machine.waiters.next_id();
        self.propose(Command::new(id, Op::MembershipRecord(record))).await.map(|_| ())
    }

    pub(super) fn next_step(&self, operation: &OpenOperation) -> Step {
        self.step_with(operation, self.clearance(operation))
    }

    fn step_with(&self, operation: &OpenOperation, clearance: Clearance) -> Step {
        let membership = self.membership();
        let led = self.leads_since().map(|since| since.elapsed()).unwrap_or_default();
        next_step(&Facts {
            operation,
            membership: &membership,
            is_buried: self.local.machine.is_removed(operation.member),
            clearance,
            has_caught_up: self.has_caught_up(operation.member),
            silence: self.local.last_heard(operation.member).map_or(led, |heard| heard.min(led)),
            now_s: now_s(),
        })
    }

    /// Whether whoever the operation takes out may go now.
    fn clearance(&self, operation: &OpenOperation) -> Clearance {
        match (operation.kind, operation.replaces) {
            (OperationKind::Replace, Some(old)) => clear_replacement(self.life_of(old)),
            (OperationKind::Remove | OperationKind::Leave, _) => {
                clear_removal(&self.lives_of_voters(&self.membership()), operation.member)
            }
            _ => Clearance::Clear,
        }
    }

    pub(super) fn lives_of_voters(&self, membership: &StoredMembership) -> Vec<(u64, Life)> {
        membership.voter_ids().map(|id| (id, self.life_of(id))).collect()
    }

    /// Takes the open operation as far as it goes now. The caller holds `changing`.
    pub(crate) async fn drive(&self) -> Result<Driven, Error> {
        for _ in 0..STEPS_MAX {
            let Some(operation) = self.open_operation() else { return Ok(Driven::Closed) };
            match self.next_step(&operation) {
                Step::CatchUp | Step::Wait => return Ok(Driven::Waits),
                step => self.take(&operation, step).await?,
            };
        }
        Ok(Driven::Waits)
    }

    pub(super) async fn take(&self, operation: &OpenOperation, step: Step) -> Result<(), Error> {
        match step {
            Step::CatchUp | Step::Wait => Ok(()),
            Step::Settle => self.settle().await,
            Step::Remove(member) => self.take_out(member).await,
            Step::RollBack(member) => {
                let name = &operation.name;
                tracing::warn!(%name, "the newcomer did not catch up in time and is taken out");
                self.take_out(member).await
            }
            Step::Add(member, peer) => self.take_in(member, peer).await,
            Step::Promote(member) => {
                let voters = Change::AddVoterIds(BTreeSet::from([member]));
                self.change_membership(voters).await.map(|_| ())
            }
            Step::Move(member, peer) => {
                let nodes = Change::SetNodes(BTreeMap::from([(member, peer)]));
                self.change_membership(nodes).await.map(|_| ())
            }
            Step::GiveUp => {
                let (kind, name) = (operation.kind.as_str(), &operation.name);
                tracing::warn!(kind, %name, "membership operation would do harm and is given up");
                self.record(Some(operation.id), None).await
            }
            Step::Close => {
                let (kind, name) = (operation.kind.as_str(), &operation.name);
                tracing::info!(kind, %name, "membership operation is done");
                self.record(Some(operation.id), None).await
            }
        }
    }

    /// Brings a change that an earlier leader left half done to its end.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let membership = self.membership();
        let Some(voters) = membership.get_joint_config().last() else { return Ok(()) };
        let change = Change::ReplaceAllVoters(voters.clone());
        self.change_membership(change).await.map(|_| ())
    }

    /// Removes a member, whether it votes or not.
    pub(crate) async fn take_out(&self, member: u64) -> Result<(), Error> {
        let ids = BTreeSet::from([member]);
        let votes = self.membership().voter_ids().any(|id| id == member);
        let change = if votes { Change::RemoveVoters(ids) } else { Change::RemoveNodes(ids) };
        self.change_membership(change).await.map(|_| ())
    }

    /// Adds a learner.
    pub(crate) async fn take_in(&self, member: u64, peer: Peer) -> Result<(), Error> {
        self.raft.add_learner(member, peer, false).await.map(|_| ()).map_err(change_error)
    }

    pub(crate) async fn change_membership(&self, change: Change) -> Result<Bytes, Error> {
        self.raft.change_membership(change, false).await.map(|_| Bytes::new()).map_err(change_error)
    }

    /// How much of the log a member has, beside the last index.
    pub(crate) fn progress_of(&self, id: u64) -> (u64, u64) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let matching = metrics
            .replication
            .as_ref()
            .and_then(|progress| progress.get(&id).copied().flatten())
            .map_or(0, |log_id| log_id.index);
        (matching, metrics.last_log_index.unwrap_or_default())
    }
}

/// An operation that begins now.
pub(super) fn new_operation(kind: OperationKind, member: u64, name: &str) -> OpenOperation {
    let started_s = now_s();
    OpenOperation {
        id: rand::rng().random(),
        kind,
        member,
        name: name.to_owned(),
        replaces: None,
        incarnation: None,
        peer_urls: Vec::new(),
        reason: RemovalReason::Operator,
        started_s,
        deadline_s: started_s + OPERATION_LASTS_MAX.as_secs(),
    }
}

fn wait(reason: String) -> ClaimAnswer {
    ClaimAnswer::Wait { reason, after_ms: CLAIM_AGAIN_MS }
}

/// Seconds since 1970; a clock before that counts as 1970.
fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
