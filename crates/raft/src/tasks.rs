//! The node's background work: snapshots, the size of the log, members that wait for their vote or
//! have been removed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::async_runtime::watch::WatchReceiver;

use crate::machine::blocking;
use crate::members::PROMOTION_PAUSE;
use crate::node::Shared;
use crate::peer::{Kind, REMOVED};

/// Snapshots are at least this far apart: each is a commit of the database.
const SNAPSHOT_PAUSE: Duration = Duration::from_secs(1);

/// Makes a snapshot whenever one is due, which lets the log before it go.
pub(crate) async fn make_snapshots(shared: Arc<Shared>) {
    loop {
        shared.snapshot_trigger.wait().await;
        shared.snapshot_trigger.reset(shared.local.machine.applied_index().unwrap_or_default());
        if shared.raft.trigger().snapshot().await.is_err() {
            return;
        }
        tokio::time::sleep(SNAPSHOT_PAUSE).await;
        if purge_by_bytes(&shared).await.is_err() {
            return;
        }
    }
}

/// Ends the waiting of clients whose time is over.
pub(crate) async fn expire_proposals(shared: Arc<Shared>) {
    shared.local.machine.waiters.expire().await;
}

/// Gives up the older half of a log that holds more bytes than allowed; a follower that still
/// needs it gets a snapshot.
async fn purge_by_bytes(shared: &Shared) -> Result<(), ()> {
    if shared.log.bytes_on_disk() <= shared.log_bytes_max {
        return Ok(());
    }
    let (purged, last) = shared.log.state();
    let first = purged.map_or(0, |position| position.index);
    let last = last.map_or(0, |position| position.index);
    let snapshot = shared.raft.metrics().borrow_watched().snapshot.map_or(0, |id| id.index);
    let upto = (first + (last - first) / 2).min(snapshot);
    shared.raft.trigger().purge_log(upto).await.map_err(|_| ())
}

/// Looks after the members for as long as something is due.
pub(crate) async fn tend_members(shared: Arc<Shared>) {
    loop {
        shared.local.machine.members_to_tend.notified().await;
        while shared.leadership.borrow().is_self && shared.tend_members().await {
            tokio::time::sleep(PROMOTION_PAUSE).await;
        }
    }
}

/// Keeps the links and addresses of peers in step with the membership.
pub(crate) async fn follow_membership(shared: Arc<Shared>) {
    let mut metrics = shared.raft.server_metrics();
    loop {
        let membership = metrics.borrow_watched().membership_config.clone();
        for (id, peer) in membership.nodes() {
            shared.pool.learn(*id, peer);
        }
        if let Some(reason) = shared.local.disowned(&membership) {
            return shared.stopped(&reason);
        }
        shared.pool.retain(|id| membership.get_node(&id).is_some());
        if metrics.changed().await.is_err() {
            return;
        }
    }
}

/// Forgets the disks of members that were removed, and ends this member when it is one of them.
pub(crate) async fn follow_removals(shared: Arc<Shared>) {
    let local = &shared.local;
    let mut has_pruned = false;
    loop {
        has_pruned = has_pruned || prune_archives(&shared);
        local.machine.membership_applied.notified().await;
        for (member, _) in local.data_dir.pins() {
            if local.machine.is_removed(member.0)
                && let Err(error) = tokio::task::block_in_place(|| local.data_dir.unpin(member))
            {
                tracing::warn!(%member, %error, "the pin of a removed member stays");
            }
        }
        if local.machine.is_removed(local.member) {
            if !local.learn_of_removal() {
                return;
            }
            // The answer to the client goes out first, and the others learn that it is decided.
            tokio::time::sleep(shared.election_timeout).await;
            return shared.stopped(REMOVED);
        }
    }
}

/// Lets old archives go once this member has its vote; not before, because until then what it was
/// may be all there is of it.
fn prune_archives(shared: &Shared) -> bool {
    let local = &shared.local;
    let votes = local.machine.membership.read().stored.voter_ids().any(|id| id == local.member);
    if votes && let Err(error) = blocking(|| local.data_dir.prune_archives()) {
        tracing::warn!(%error, "old archives stay");
    }
    votes
}

/// A member that was removed while it could not hear of it is not told by anybody: a leader keeps
/// no connection to it, and as a learner it does not stand for election. So it asks the others, of
/// whom one will refuse it.
pub(crate) async fn ask_when_forgotten(shared: Arc<Shared>) {
    let mut membership = shared.raft.server_metrics();
    loop {
        if others(&shared).is_empty() && membership.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(shared.election_timeout).await;
        if shared.leadership.borrow().is_self
            || shared.local.silence() < 2 * shared.election_timeout
        {
            continue;
        }
        for other in others(&shared) {
            // Only a refusal of the connection counts, and the link sees to that.
            let _ = shared
                .pool
                .requests(other)
                .request(Kind::ReadIndex, Bytes::new(), shared.election_timeout)
                .await;
        }
    }
}

/// Opens a connection to every member that this one has never met, so that its disk is pinned. Two
/// followers may have no other reason to talk before the leader is lost and they elect a new one;
/// met only then, a disk that was wiped in between would be taken for the member it replaces, and
/// its vote could make a leader that lacks acknowledged writes.
pub(crate) async fn meet_members(shared: Arc<Shared>) {
    let mut membership = shared.raft.server_metrics();
    loop {
        let known = shared.membership();
        let is_met = |id: &u64| {
            let peer = known.get_node(id);
            peer.is_some_and(|peer| shared.local.incarnation_of(*id, peer).is_some())
        };
        let meetings = others(&shared).into_iter().filter(|id| !is_met(id)).map(|id| {
            let link = shared.pool.requests(id);
            // Failing that, once more after the pause.
            async move { drop(link.connect().await) }
        });
        if futures::future::join_all(meetings).await.is_empty() {
            // Everybody has been met; whoever joins changes the membership.
            if membership.changed().await.is_err() {
                return;
            }
        } else {
            tokio::time::sleep(MEETING_PAUSE).await;
        }
    }
}

/// Pause before members that were not met are tried again.
const MEETING_PAUSE: Duration = Duration::from_millis(500);

/// The other members, by the newest membership in the log.
fn others(shared: &Shared) -> Vec<u64> {
    let ids = shared.membership();
    ids.nodes().map(|(id, _)| *id).filter(|id| *id != shared.local.member).collect()
}
