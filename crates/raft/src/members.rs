//! Changing who is a member. Only the leader does it, one change at a time; other members pass the
//! request on.
//!
//! A new voter comes in as a learner and gets its vote by itself once it has caught up, so adding
//! one never costs the cluster its quorum. Clients see it as the voter it is going to be.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use api::Error;
use api::etcdserverpb::{
    MemberAddRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use bytes::Bytes;
use openraft::ChangeMembers;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, RaftError};
use prost::Message;
use store::MemberId;

use crate::codec::Wire;
use crate::controller::{Life, Unrecorded};
use crate::ids::joiner_id;
use crate::node::Shared;
use crate::peer::Method;
use crate::types::{Peer, StoredMembership, TypeConfig};

/// How often the leader looks whether a new voter has caught up, while there is one.
pub(crate) const PROMOTION_PAUSE: Duration = Duration::from_millis(100);

/// A joiner this few entries behind the leader gets its vote.
const CAUGHT_UP_ENTRIES: u64 = 1_000;

/// A member as clients see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberInfo {
    /// Its id.
    pub id: MemberId,
    /// Empty until it has started once.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where clients reach it; empty until it has started once.
    pub client_urls: Vec<String>,
    /// It was added as a learner and has not been promoted.
    pub is_learner: bool,
}

impl MemberInfo {
    fn is_started(&self) -> bool {
        !self.name.is_empty() || !self.client_urls.is_empty()
    }
}

type Change = ChangeMembers<u64, Peer>;

impl Shared {
    /// The members, by id.
    pub(crate) fn members(&self) -> Vec<MemberInfo> {
        let membership = self.local.machine.membership.read().stored.clone();
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        let attributes = self.local.machine.store.read(|store| store.members());
        membership
            .nodes()
            .map(|(id, peer)| {
                let known = attributes.iter().find(|known| known.member.0 == *id);
                MemberInfo {
                    id: MemberId(*id),
                    name: known.map(|known| known.name.clone()).unwrap_or_default(),
                    peer_urls: peer.peer_urls.clone(),
                    client_urls: known.map(|known| known.client_urls.clone()).unwrap_or_default(),
                    is_learner: !voters.contains(id) && !peer.becomes_voter,
                }
            })
            .collect()
    }

    /// The newest membership in the log.
    pub(crate) fn membership(&self) -> StoredMembership {
        self.raft.metrics().borrow_watched().membership_config.as_ref().clone()
    }

    /// Answers what a client or another member asked of the leader.
    pub(crate) async fn answer_call(
        &self,
        from: u64,
        method: u8,
        payload: Bytes,
    ) -> Result<Bytes, Error> {
        let Some(method) = Method::from_byte(method) else {
            return self.local.hooks.call(MemberId(from), method, payload).await;
        };
        if !self.leadership.borrow().is_self {
            return Err(Error::LeaderChanged);
        }
        // Nobody waits any longer for an answer that comes later; and what nobody waits for must not
        // happen either.
        let one_at_a_time = tokio::time::timeout(self.request_timeout, self.changing.lock())
            .await
            .map_err(|_| Error::Timeout)?;
        let changed = tokio::time::timeout(self.request_timeout, self.change(method, payload));
        let answer = changed.await.unwrap_or(Err(Error::Timeout));
        drop(one_at_a_time);
        answer
    }

    async fn change(&self, method: Method, payload: Bytes) -> Result<Bytes, Error> {
        match method {
            Method::Add => self.add(decode(payload)?).await,
            Method::Remove => self.remove(decode(payload)?).await,
            Method::Update => self.update(decode(payload)?).await,
            Method::Promote => self.promote(decode(payload)?).await,
            Method::Claim => Ok(self.answer_claim(&parse(payload)?).await.to_bytes()),
            Method::Retire => self.answer_retirement(parse(payload)?).await,
        }
    }

    async fn add(&self, request: MemberAddRequest) -> Result<Bytes, Error> {
        let members = self.members();
        self.check_urls_are_new(&request.peer_ur_ls, None, &members)?;
        if request.is_learner {
            let learners = members.iter().filter(|member| member.is_learner).count();
            if learners >= self.max_learners {
                return Err(Error::TooManyLearners);
            }
        } else {
            check_started(&members, None, 1)?;
        }
        let id = self.unused_id(&request.peer_ur_ls);
        let becomes_voter = !request.is_learner;
        let peer = Peer { peer_urls: request.peer_ur_ls, becomes_voter, incarnation: None };
        self.take_in(id, peer).await?;
        Ok(id.to_bytes())
    }

    async fn remove(&self, request: MemberRemoveRequest) -> Result<Bytes, Error> {
        let members = self.members();
        let member = find(&members, request.id)?;
        if !member.is_learner {
            check_started(&members, Some(request.id), 0)?;
        }
        self.take_out(request.id).await.map(|()| Bytes::new())
    }

    async fn update(&self, request: MemberUpdateRequest) -> Result<Bytes, Error> {
        let members = self.members();
        find(&members, request.id)?;
        self.check_urls_are_new(&request.peer_ur_ls, Some(request.id), &members)?;
        let membership = self.membership();
        let known = membership.get_node(&request.id).ok_or(Error::MemberNotFound)?;
        let peer = Peer { peer_urls: request.peer_ur_ls, ..known.clone() };
        self.change_membership(Change::SetNodes(BTreeMap::from([(request.id, peer)]))).await
    }

    async fn promote(&self, request: MemberPromoteRequest) -> Result<Bytes, Error> {
        let members = self.members();
        if !find(&members, request.id)?.is_learner {
            return Err(Error::MemberNotLearner);
        }
        let (matching, last) = self.progress_of(request.id);
        // etcd's measure: nine tenths of the leader's log.
        if matching.saturating_mul(10) < last.saturating_mul(9) {
            return Err(Error::LearnerNotReady);
        }
        self.change_membership(Change::AddVoterIds(BTreeSet::from([request.id]))).await
    }

    /// Does the next thing that is due with the members, if there is one: completes a change that an
    /// earlier leader left half done, goes on with the open operation, gives a vote to a member that
    /// was added by hand and has caught up, records incarnations. Returns whether to look again soon.
    pub(crate) async fn tend_members(&self) -> bool {
        if self.due().is_nothing() {
            return false;
        }
        let Ok(_one_at_a_time) = self.changing.try_lock() else { return true };
        // Looked at again: what was seen before may be undone by another change since, and a member
        // that is recorded after its removal would be one again.
        let due = self.due();
        if self.leads_for_certain() {
            let doing = tokio::time::timeout(self.request_timeout, self.do_what_is_due(due));
            if let Ok(Err(error)) = doing.await {
                tracing::info!(%error, "membership change is not complete yet");
            }
        }
        true
    }

    fn due(&self) -> Due {
        let membership = self.membership();
        Due {
            half_done: membership.get_joint_config().len() > 1,
            operation: self.open_operation().is_some(),
            joiners: joiners(&membership),
            unrecorded: self.unrecorded_incarnations(&membership),
        }
    }

    async fn do_what_is_due(&self, due: Due) -> Result<(), Error> {
        if due.half_done {
            return self.settle().await;
        }
        if due.operation {
            return self.drive().await.map(|_| ());
        }
        if let Some(id) = due.joiners.iter().copied().find(|id| self.has_caught_up(*id)) {
            let voters = Change::AddVoterIds(BTreeSet::from([id]));
            return self.change_membership(voters).await.map(|_| ());
        }
        if self.is_time_to_record(&due.unrecorded) {
            return self.record_incarnations(due.unrecorded).await;
        }
        Ok(())
    }

    /// Whether a joiner may have its vote: from then on the cluster may need it, so it must not
    /// only have the log, it must be there.
    pub(crate) fn has_caught_up(&self, id: u64) -> bool {
        let (matching, last) = self.progress_of(id);
        matching > 0 && matching + CAUGHT_UP_ENTRIES >= last && self.life_of(id) == Life::Alive
    }

    fn check_urls_are_new(
        &self,
        urls: &[String],
        of: Option<u64>,
        members: &[MemberInfo],
    ) -> Result<(), Error> {
        let taken = members
            .iter()
            .filter(|member| Some(member.id.0) != of)
            .flat_map(|member| &member.peer_urls)
            .any(|url| urls.contains(url));
        if taken { Err(Error::PeerUrlExist) } else { Ok(()) }
    }

    pub(crate) fn unused_id(&self, urls: &[String]) -> u64 {
        let membership = self.local.machine.membership.read();
        loop {
            // Sixty-four random bits: the first try is as good as certain.
            let id = joiner_id(urls, self.local.cluster).0;
            let known = membership.is_buried(id) || membership.stored.get_node(&id).is_some();
            if id != 0 && !known {
                return id;
            }
        }
    }
}

/// What a leader may have to do with the members.
struct Due {
    half_done: bool,
    operation: bool,
    joiners: Vec<u64>,
    unrecorded: Unrecorded,
}

impl Due {
    /// A member that nobody has met does not count: meeting it wakes the leader.
    fn is_nothing(&self) -> bool {
        !self.half_done
            && !self.operation
            && self.joiners.is_empty()
            && self.unrecorded.known.is_empty()
    }
}

/// Members that are to vote and do not yet.
fn joiners(membership: &StoredMembership) -> Vec<u64> {
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    membership
        .nodes()
        .filter(|(id, peer)| peer.becomes_voter && !voters.contains(id))
        .map(|(id, _)| *id)
        .collect()
}

/// etcd's `--strict-reconfig-check`: the members that have started must still be a quorum of the
/// voters after the change. Going from one to two is allowed, and so is removing an unstarted one.
fn check_started(members: &[MemberInfo], without: Option<u64>, added: usize) -> Result<(), Error> {
    let voters: Vec<&MemberInfo> = members
        .iter()
        .filter(|member| !member.is_learner && Some(member.id.0) != without)
        .collect();
    let started = voters.iter().filter(|member| member.is_started()).count();
    let total = voters.len() + added;
    let first_addition = added == 1 && started == 1 && total == 2;
    if first_addition || started > total / 2 { Ok(()) } else { Err(Error::MemberNotEnoughStarted) }
}

fn find(members: &[MemberInfo], id: u64) -> Result<&MemberInfo, Error> {
    members.iter().find(|member| member.id.0 == id).ok_or(Error::MemberNotFound)
}

fn decode<M: Message + Default>(payload: Bytes) -> Result<M, Error> {
    M::decode(payload).map_err(|error| Error::InvalidArgument(error.to_string()))
}

fn parse<W: Wire>(mut payload: Bytes) -> Result<W, Error> {
    W::parse(&mut payload).map_err(|error| Error::InvalidArgument(error.to_string()))
}

type ChangeFailed = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

pub(crate) fn change_error(error: ChangeFailed) -> Error {
    match error {
        RaftError::Fatal(_) => Error::Stopped,
        RaftError::APIError(ClientWriteError::ForwardToLeader(_)) => Error::LeaderChanged,
        RaftError::APIError(error) => {
            Error::Unavailable(format!("etcdserver: membership change refused: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, started: bool, is_learner: bool) -> MemberInfo {
        let name = if started { id.to_string() } else { String::new() };
        MemberInfo { id: MemberId(id), name, is_learner, ..MemberInfo::default() }
    }

    #[test]
    fn a_change_needs_a_quorum_of_started_voters_afterwards() {
        let one = [member(1, true, false)];
        assert_eq!(check_started(&one, None, 1), Ok(()));
        let two = [member(1, true, false), member(2, false, false)];
        assert_eq!(check_started(&two, None, 1), Err(Error::MemberNotEnoughStarted));
        assert_eq!(check_started(&two, Some(2), 0), Ok(()));
        assert_eq!(check_started(&two, Some(1), 0), Err(Error::MemberNotEnoughStarted));
        let learner = [member(1, true, false), member(2, false, true)];
        assert_eq!(check_started(&learner, None, 1), Ok(()));
    }
}
