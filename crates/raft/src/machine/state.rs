//! The state machine's parts and the trait that openraft drives.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::Stream;
use openraft::OptionalSend;
use openraft::storage::{EntryResponder, RaftStateMachine};
use parking_lot::{Mutex, RwLock};
use storage::Backend;
use store::SharedStore;
use tokio::sync::Notify;

use super::membership::ClusterMembership;
use super::snapshot::{SnapshotBuilder, SnapshotData};
use crate::hooks::Hooks;
use crate::log::from_position;
use crate::snapshot_trigger::SnapshotTrigger;
use crate::types::{LogId, SnapshotMeta, StoredMembership, TypeConfig};
use crate::waiters::Waiters;

/// What applying touches and readers look at.
pub(crate) struct MachineState {
    pub(crate) store: Arc<SharedStore>,
    pub(crate) backend: Backend,
    pub(crate) waiters: Waiters,
    pub(crate) hooks: Arc<dyn Hooks>,
    pub(crate) membership: RwLock<ClusterMembership>,
    /// A membership was applied: one permit, however many there were.
    pub(crate) membership_applied: Notify,
    /// Something may be due that only a leader does with the members.
    pub(crate) members_to_tend: Notify,
    /// How a store loaded from a snapshot is set up.
    pub(crate) store_options: store::Options,
    /// Held while the store changes and until the change is with the database: whatever comes from
    /// another task than the one that applies must neither overtake rows on their way to the
    /// database nor say of them where in the log they belong.
    pub(super) changing: Mutex<()>,
    applied: Mutex<Option<LogId>>,
    /// One more than the applied index, so that 0 is "nothing yet"; read without the lock.
    applied_next: AtomicU64,
    progress: Notify,
    snapshot_trigger: Arc<SnapshotTrigger>,
}

impl MachineState {
    pub(crate) fn new(
        store: Arc<SharedStore>,
        store_options: store::Options,
        backend: Backend,
        waiters: Waiters,
        hooks: Arc<dyn Hooks>,
        membership: ClusterMembership,
        snapshot_trigger: Arc<SnapshotTrigger>,
    ) -> Self {
        let applied = backend.position().map(from_position);
        Self {
            store,
            backend,
            waiters,
            hooks,
            membership: RwLock::new(membership),
            membership_applied: Notify::new(),
            members_to_tend: Notify::new(),
            store_options,
            changing: Mutex::new(()),
            applied: Mutex::new(applied),
            applied_next: AtomicU64::new(applied.map_or(0, |log_id| log_id.index + 1)),
            progress: Notify::new(),
            snapshot_trigger,
        }
    }

    /// Whether the applied log says that this member once was one and is no more.
    pub(crate) fn is_removed(&self, member: u64) -> bool {
        self.membership.read().is_buried(member)
    }

    /// Whether nobody but one client of ours waits for what is appended now: there is no other
    /// member to replicate to, and no other proposal.
    pub(crate) fn is_alone_with_one_client(&self) -> bool {
        self.waiters.in_flight() <= 1 && self.membership.read().stored.nodes().count() == 1
    }

    /// The last index applied.
    pub(crate) fn applied_index(&self) -> Option<u64> {
        self.applied_next.load(Ordering::Acquire).checked_sub(1)
    }

    /// The last entry applied.
    pub(crate) fn applied(&self) -> Option<LogId> {
        *self.applied.lock()
    }

    /// Makes it visible to readers that everything up to `log_id` has been applied.
    pub(super) fn advance(&self, log_id: LogId) {
        *self.applied.lock() = Some(log_id);
        self.applied_next.store(log_id.index + 1, Ordering::Release);
        self.progress.notify_waiters();
        self.snapshot_trigger.applied(log_id.index);
    }

    /// Returns once `index` has been applied.
    pub(crate) async fn wait_applied(&self, index: u64) {
        loop {
            let progress = self.progress.notified();
            tokio::pin!(progress);
            // Registered before looking, so that an advance in between is not missed.
            progress.as_mut().enable();
            if self.applied_index() >= Some(index) {
                return;
            }
            progress.await;
        }
    }
}

/// The handle openraft owns.
#[derive(Clone)]
pub(crate) struct Machine(pub(crate) Arc<MachineState>);

impl RaftStateMachine<TypeConfig> for Machine {
    type SnapshotData = SnapshotData;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.0.applied(), self.0.membership.read().stored.clone()))
    }

    async fn apply<S>(&mut self, entries: S) -> Result<(), io::Error>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin + OptionalSend,
    {
        self.0.apply_all(entries).await
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder(self.0.clone())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> Result<(), io::Error> {
        self.0.install(meta, snapshot).await
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<crate::types::Snapshot>, io::Error> {
        self.0.current_snapshot().await
    }
}
