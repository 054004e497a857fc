//! The node's background work: snapshots, the size of the log, members that wait for their vote.

use std::sync::Arc;
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;

use crate::members::PROMOTION_PAUSE;
use crate::node::Shared;

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

/// Looks after joiners for as long as there are any.
pub(crate) async fn tend_members(shared: Arc<Shared>) {
    loop {
        shared.members_to_tend.notified().await;
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
            shared.pool.learn(*id, &peer.peer_urls);
        }
        shared.pool.retain(|id| membership.get_node(&id).is_some());
        if metrics.changed().await.is_err() {
            return;
        }
    }
}
