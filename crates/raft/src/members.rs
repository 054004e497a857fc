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
        let one_at_a_time = self.changing.lock().await;
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
        let peer = Peer { peer_urls: request.peer_ur_ls, becomes_voter: !request.is_learner };
        self.raft.add_learner(id, peer, false).await.map_err(change_error)?;
        Ok(id.to_bytes())
    }

    async fn remove(&self, request: MemberRemoveRequest) -> Result<Bytes, Error> {
        let members = self.members();
        let member = find(&members, request.id)?;
        if !member.is_learner {
            check_started(&members, Some(request.id), 0)?;
        }
        let ids = BTreeSet::from([request.id]);
        let is_voter = self.membership().voter_ids().any(|id| id == request.id);
        let change = if is_voter { Change::RemoveVoters(ids) } else { Change::RemoveNodes(ids) };
        self.change_membership(change).await
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

    /// Gives a vote to every joiner that has caught up, and completes a change that an earlier
    /// leader left half done. Returns whether something is still to be done.
    pub(crate) async fn tend_members(&self) -> bool {
        let membership = self.membership();
        let waiting: Vec<u64> = joiners(&membership);
        let half_done = membership.get_joint_config().len() > 1;
        if waiting.is_empty() && !half_done {
            return false;
        }
        let Ok(_one_at_a_time) = self.changing.try_lock() else { return true };
        let change = match waiting.iter().copied().find(|id| self.has_caught_up(*id)) {
            _ if half_done => membership
                .get_joint_config()
                .last()
                .map(|voters| Change::ReplaceAllVoters(voters.clone())),
            Some(id) => Some(Change::AddVoterIds(BTreeSet::from([id]))),
            None => None,
        };
        if let Some(change) = change {
            let changing =
                tokio::time::timeout(self.request_timeout, self.change_membership(change));
            if let Ok(Err(error)) = changing.await {
                tracing::info!(%error, "membership change is not complete yet");
            }
        }
        true
    }

    fn has_caught_up(&self, id: u64) -> bool {
        let (matching, last) = self.progress_of(id);
        matching > 0 && matching + CAUGHT_UP_ENTRIES >= last
    }

    /// How much of the log a member has, beside the last index.
    fn progress_of(&self, id: u64) -> (u64, u64) {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let matching = metrics
            .replication
            .as_ref()
            .and_then(|progress| progress.get(&id).copied().flatten())
            .map_or(0, |log_id| log_id.index);
        (matching, metrics.last_log_index.unwrap_or_default())
    }

    async fn change_membership(&self, change: Change) -> Result<Bytes, Error> {
        self.raft.change_membership(change, false).await.map(|_| Bytes::new()).map_err(change_error)
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

    fn unused_id(&self, urls: &[String]) -> u64 {
        let membership = self.local.machine.membership.read();
        loop {
            // Sixty-four random bits: the first try is as good as certain.
            let id = joiner_id(urls, self.local.cluster).0;
            let known =
                membership.removed.contains(&id) || membership.stored.get_node(&id).is_some();
            if id != 0 && !known {
                return id;
            }
        }
    }
}

/// Members that are to vote and do not yet.
pub(crate) fn joiners(membership: &StoredMembership) -> Vec<u64> {
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

type ChangeFailed = RaftError<TypeConfig, ClientWriteError<TypeConfig>>;

fn change_error(error: ChangeFailed) -> Error {
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
