//! What applied commands mean for the services: leases, alarms, room, watchers.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use api::etcdserverpb::AlarmType;
use bytes::Bytes;
use raft::{Answer, Hooks};
use store::{Change, MemberId, RowKind, SharedStore};
use tokio::sync::{Notify, watch};

use crate::lease;
use crate::member::Parts;

/// Facts that follow from the log, kept where a call can read them without a lock.
#[derive(Debug)]
pub struct Standing {
    out_of_space: AtomicBool,
    corrupt: AtomicBool,
    bytes_in_use: AtomicU64,
    /// Wakes the task that takes the alarm back.
    pub room: Notify,
    /// The revision history was given up to; wakes the task that removes the rows.
    pub compacted: watch::Sender<i64>,
    /// The revision up to which the rows are gone.
    removed: watch::Sender<i64>,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            out_of_space: AtomicBool::new(false),
            corrupt: AtomicBool::new(false),
            bytes_in_use: AtomicU64::new(0),
            room: Notify::new(),
            compacted: watch::Sender::new(0),
            removed: watch::Sender::new(0),
        }
    }
}

impl Standing {
    /// The alarm NOSPACE is on, on any member.
    pub fn is_out_of_space(&self) -> bool {
        self.out_of_space.load(Ordering::Relaxed)
    }

    /// The alarm CORRUPT is on, on any member.
    pub fn is_corrupt(&self) -> bool {
        self.corrupt.load(Ordering::Relaxed)
    }

    /// Bytes of all reachable rows, as of the last applied batch.
    pub fn bytes_in_use(&self) -> u64 {
        self.bytes_in_use.load(Ordering::Relaxed)
    }

    /// Says that the rows up to a compaction are gone.
    pub fn rows_removed(&self, revision: i64) {
        self.removed.send_if_modified(|removed| {
            let newer = revision > *removed;
            *removed = (*removed).max(revision);
            newer
        });
    }

    /// Waits until the rows up to a compaction are gone.
    pub async fn removed_up_to(&self, revision: i64) {
        // The sender lives as long as this value.
        let _ = self.removed.subscribe().wait_for(|removed| *removed >= revision).await;
    }

    fn refresh(&self, store: &SharedStore) {
        let alarms = store.read(|store| store.alarms());
        let on = |kind: AlarmType| alarms.iter().any(|alarm| alarm.alarm == kind as i32);
        self.out_of_space.store(on(AlarmType::Nospace), Ordering::Relaxed);
        self.corrupt.store(on(AlarmType::Corrupt), Ordering::Relaxed);
        self.weigh(store);
    }

    fn weigh(&self, store: &SharedStore) {
        self.bytes_in_use.store(store.read(|store| store.bytes_in_use()), Ordering::Relaxed);
        if self.is_out_of_space() {
            self.room.notify_one();
        }
    }
}

/// The agent's end of the consensus layer.
pub struct AgentHooks {
    parts: Parts,
    /// Weak: the store's database holds these hooks, and a process that has left its cluster must
    /// not keep the files open for ever.
    store: OnceLock<Weak<SharedStore>>,
    fatal: watch::Sender<Option<String>>,
}

impl AgentHooks {
    /// `fatal` receives the reason when the member cannot go on.
    pub fn new(parts: Parts, fatal: watch::Sender<Option<String>>) -> Self {
        Self { parts, store: OnceLock::new(), fatal }
    }

    /// Connects the hooks to the store of the node that was started with them.
    pub fn attach(&self, store: Arc<SharedStore>) {
        self.parts.standing.refresh(&store);
        let compacted = store.compact_revision();
        self.parts.standing.compacted.send_replace(compacted);
        self.parts.watchers.replaced(store.current_revision());
        // A second call would be of the same node.
        let _ = self.store.set(Arc::downgrade(&store));
    }

    fn store(&self) -> Option<Arc<SharedStore>> {
        self.store.get()?.upgrade()
    }
}

impl Hooks for AgentHooks {
    fn applied(&self, changes: &[Change], current_revision: i64) {
        self.parts.watchers.applied(changes, current_revision);
        let mut leases = Vec::new();
        let mut alarms_changed = false;
        for change in changes {
            match change {
                Change::Row(row) => match row.kind {
                    RowKind::Put => self.parts.metrics.store.put(row.record.as_bytes().len()),
                    RowKind::Delete => self.parts.metrics.store.delete(),
                },
                Change::Lease { .. } | Change::LeaseRemoved(_) => leases.push(change),
                Change::Compacted(revision) => {
                    self.parts.standing.compacted.send_replace(*revision);
                }
                Change::AlarmRaised(_) | Change::AlarmCleared(_) => alarms_changed = true,
                _ => {}
            }
        }
        if !leases.is_empty() {
            self.parts.leases.applied(&leases);
        }
        match self.store() {
            Some(store) if alarms_changed => self.parts.standing.refresh(&store),
            Some(store) => self.parts.standing.weigh(&store),
            None => {}
        }
    }

    fn replaced(&self) {
        let Some(store) = self.store() else { return };
        self.parts.standing.refresh(&store);
        self.parts.standing.compacted.send_replace(store.compact_revision());
        self.parts.watchers.replaced(store.current_revision());
    }

    fn call(&self, _from: MemberId, method: u8, payload: Bytes) -> Answer<'_> {
        let store = self.store();
        Box::pin(async move {
            lease::serve_peer(&self.parts.leases, store.as_ref(), method, payload).await
        })
    }

    fn fatal(&self, reason: &str) {
        self.fatal.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert_with(|| reason.to_owned());
            first
        });
    }
}
