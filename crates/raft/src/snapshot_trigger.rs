//! When the log has grown enough that its beginning should be given up.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

/// Bytes appended since the last snapshot that make one due, however few the entries were.
const BYTES_MAX: u64 = 64 << 20;

/// Counts what was applied and appended since the last snapshot.
pub(crate) struct SnapshotTrigger {
    entries_max: u64,
    due_at_index: AtomicU64,
    bytes: AtomicU64,
    due: Notify,
}

impl SnapshotTrigger {
    /// Due every `entries_max` entries (etcd's `--snapshot-count`) or [`BYTES_MAX`] bytes.
    pub(crate) fn new(entries_max: u64, applied: u64) -> Self {
        Self {
            entries_max,
            due_at_index: AtomicU64::new(applied.saturating_add(entries_max)),
            bytes: AtomicU64::new(0),
            due: Notify::new(),
        }
    }

    /// Something was applied.
    pub(crate) fn applied(&self, index: u64) {
        if index >= self.due_at_index.load(Ordering::Relaxed) {
            self.due.notify_one();
        }
    }

    /// Something was appended to the log.
    pub(crate) fn appended(&self, bytes: u64) {
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes >= BYTES_MAX {
            self.due.notify_one();
        }
    }

    /// Returns when a snapshot is due.
    pub(crate) async fn wait(&self) {
        self.due.notified().await;
    }

    /// Starts counting again.
    pub(crate) fn reset(&self, applied: u64) {
        self.due_at_index.store(applied.saturating_add(self.entries_max), Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }
}
