//! What goes over the connections with a peer, in both directions and whoever opened them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use store::MemberId;

use crate::durations::{DurationCounts, DurationHistogram};

/// Upper bound of the first bucket of round trips, as etcd has it; the longest is 3.3 s.
const ROUND_TRIP_FIRST: Duration = Duration::from_micros(100);
const ROUND_TRIP_BOUNDS: usize = 16;

/// Counters of one peer since this member started; they outlive its connections.
#[derive(Debug)]
pub(crate) struct Traffic {
    sent_bytes: AtomicU64,
    received_bytes: AtomicU64,
    send_failures: AtomicU64,
    receive_failures: AtomicU64,
    round_trips: DurationHistogram,
    born: Instant,
    /// Milliseconds from `born` to the last frame that came in, plus one; 0 before the first.
    heard_ms: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            sent_bytes: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            send_failures: AtomicU64::new(0),
            receive_failures: AtomicU64::new(0),
            round_trips: DurationHistogram::new(ROUND_TRIP_FIRST, ROUND_TRIP_BOUNDS),
            born: Instant::now(),
            heard_ms: AtomicU64::new(0),
        }
    }
}

impl Traffic {
    /// Bytes were handed to the socket.
    pub(super) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A frame came in.
    pub(super) fn received(&self, bytes: usize) {
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
        let since = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.heard_ms.store(since + 1, Relaxed);
    }

    /// Time since a frame came in; `None` before the first.
    pub(super) fn last_heard(&self) -> Option<Duration> {
        let at = self.heard_ms.load(Relaxed).checked_sub(1)?;
        Some(self.born.elapsed().saturating_sub(Duration::from_millis(at)))
    }

    /// Something could not be sent, or a connection broke while writing.
    pub(super) fn send_failed(&self) {
        self.send_failures.fetch_add(1, Relaxed);
    }

    /// A connection broke while reading, or what came in was no frame.
    pub(super) fn receive_failed(&self) {
        self.receive_failures.fetch_add(1, Relaxed);
    }

    /// A heartbeat was answered.
    pub(super) fn round_trip(&self, took: Duration) {
        self.round_trips.observe(took);
    }

    pub(super) fn stats(&self, peer: MemberId) -> PeerStats {
        PeerStats {
            peer,
            sent_bytes: self.sent_bytes.load(Relaxed),
            received_bytes: self.received_bytes.load(Relaxed),
            send_failures: self.send_failures.load(Relaxed),
            receive_failures: self.receive_failures.load(Relaxed),
            round_trips: self.round_trips.counts(),
        }
    }
}

/// What has gone over the connections with one peer since this member started.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerStats {
    /// The other member.
    pub peer: MemberId,
    /// Bytes of frames written to it; hand-shakes are left out.
    pub sent_bytes: u64,
    /// Bytes of frames read from it.
    pub received_bytes: u64,
    /// Messages that found no connection, and connections that broke while writing.
    pub send_failures: u64,
    /// Connections that broke while reading.
    pub receive_failures: u64,
    /// From a heartbeat to its answer, however late it came. Only a leader sends heartbeats.
    pub round_trips: DurationCounts,
}
