//! Who is told what: matching of watchers, and the state of every watcher from creation to cancel.
//!
//! The [`Hub`] is fed every applied row once, in order, and puts events into the [`Outbox`] of each
//! stream that has a watcher for them. The caller owns threads, time and sockets:
//!
//! ```text
//! applied rows -> Hub::feed ----------------> Outbox -> Delivery::encode -> gRPC frames
//!                   | no room                   ^
//!                   v                           |
//!                 unsynced -> Hub::plan -> CatchUp::read (no lock) -> Hub::replay
//! ```
//!
//! **Position.** `Hub::position` is the last main revision that was fed. A *synced* watcher has in
//! its outbox (or has been sent) every event up to the position. An *unsynced* one has them up to
//! its own `next` and gets the rest from the recent events kept in memory or from [`Past::scan`].
//! A watcher changes from one to the other only between two revisions, so that all events of a
//! revision travel together and none is lost, repeated or reordered.
//!
//! **Bounds.** An outbox takes events while it holds less than [`Limits::stream_bytes_max`]; the
//! watcher that finds no room becomes unsynced and costs only its own struct from then on. When all
//! outboxes together exceed [`Limits::total_bytes_max`], each may hold
//! [`Limits::crowded_stream_bytes_max`]. A watcher is always allowed to finish the revision it has
//! begun, so one revision is the overshoot. What is offered to one stream never waits for another.
//!
//! **Bytes.** A record is already an encoded `KeyValue`, so an event needs no encoding of its own:
//! [`Event`] shares the store's record, and a response is a header followed by a copy of each
//! record between its tags.
//!
//! **Progress.** A bookmark carries the position and enters the outbox after all events up to it,
//! and only when every watcher it speaks for is synced; it can never overtake an event.
//!
//! Contract: etcd-surface section 1.9.

mod catch_up;
mod counters;
mod event;
mod feed;
mod hub;
mod interval_tree;
mod matcher;
mod outbox;
mod recent;
mod response;
mod slots;
mod span;
#[cfg(test)]
mod tests;
mod watcher;

pub use catch_up::{CatchUp, Past, Replay};
pub use counters::Counters;
pub use event::Event;
pub use hub::{Hub, StreamId};
pub use outbox::Outbox;
pub use response::{Delivery, Encoded};

/// What the hub and its streams may hold and send.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of events one stream may have waiting before its watchers become unsynced.
    pub stream_bytes_max: usize,
    /// The same while all streams together hold more than `total_bytes_max`.
    pub crowded_stream_bytes_max: usize,
    /// Bytes of events waiting in all streams above which each stream gets less.
    pub total_bytes_max: usize,
    /// Bytes of recent events kept for watchers that fell behind a little.
    pub recent_bytes_max: usize,
    /// Several revisions share a response up to this many bytes of events.
    pub response_bytes_max: usize,
    /// A response above this is split for watchers that asked for fragments: etcd's
    /// max-request-bytes plus 512 KiB.
    pub fragment_bytes_max: usize,
    /// Revisions one catch-up turn covers (etcd's batch).
    pub catch_up_revisions_max: i64,
    /// Bytes of records one catch-up turn reads; it ends with the revision that exceeds them.
    pub catch_up_bytes_max: usize,
}

impl Limits {
    /// What one stream may have waiting while all streams together have `total_bytes`.
    fn outbox_bytes_max(&self, total_bytes: usize) -> usize {
        if total_bytes > self.total_bytes_max {
            self.crowded_stream_bytes_max
        } else {
            self.stream_bytes_max
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            stream_bytes_max: 4 << 20,
            crowded_stream_bytes_max: 64 << 10,
            total_bytes_max: 128 << 20,
            recent_bytes_max: 4 << 20,
            response_bytes_max: 1 << 20,
            fragment_bytes_max: (1536 << 10) + (512 << 10),
            catch_up_revisions_max: 1000,
            catch_up_bytes_max: 4 << 20,
        }
    }
}
