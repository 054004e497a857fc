//! What the metrics page tells about watching.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Gauges and counters, written by the hub and its outboxes, read by anyone.
///
/// Relaxed throughout: the numbers inform people and limits, nothing is ordered by them.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) watchers: AtomicUsize,
    pub(super) slow_watchers: AtomicUsize,
    pub(super) streams: AtomicUsize,
    pub(super) events: AtomicU64,
    pub(super) pending_events: AtomicUsize,
    pub(super) pending_bytes: AtomicUsize,
}

impl Counters {
    /// Watchers that exist (`etcd_debugging_mvcc_watcher_total`).
    pub fn watchers(&self) -> usize {
        self.watchers.load(Ordering::Relaxed)
    }

    /// Watchers that are catching up (`etcd_debugging_mvcc_slow_watcher_total`).
    pub fn slow_watchers(&self) -> usize {
        self.slow_watchers.load(Ordering::Relaxed)
    }

    /// Open streams (`etcd_debugging_mvcc_watch_stream_total`).
    pub fn streams(&self) -> usize {
        self.streams.load(Ordering::Relaxed)
    }

    /// Events written to streams since the start (`etcd_debugging_mvcc_events_total`).
    pub fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed)
    }

    /// Events waiting in outboxes (`etcd_debugging_mvcc_pending_events_total`).
    pub fn pending_events(&self) -> usize {
        self.pending_events.load(Ordering::Relaxed)
    }

    /// Bytes of the responses waiting in outboxes, counted for each stream that waits for them.
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes.load(Ordering::Relaxed)
    }
}
