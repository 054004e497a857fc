//! What waits to be written to one stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use api::etcdserverpb::WatchResponse;
use parking_lot::Mutex;

use super::Limits;
use super::counters::Counters;
use super::event::Event;
use super::watcher::Wish;

/// One thing to write, in order.
#[derive(Debug)]
pub(super) enum Item {
    /// An event of a watcher.
    Event {
        /// Whose.
        watch_id: i64,
        /// What; shared with every other watcher of it.
        event: Arc<Event>,
        /// How.
        wish: Wish,
    },
    /// A response without events; of its header only the revision is set.
    Control(Box<WatchResponse>),
}

impl Item {
    /// What it counts against the bound: the bytes it will have on the wire and its own.
    pub(super) fn cost(&self) -> usize {
        size_of::<Self>()
            + match self {
                Self::Event { event, wish, .. } => event.field_len(wish.previous),
                Self::Control(response) => {
                    size_of::<WatchResponse>() + response.cancel_reason.len()
                }
            }
    }
}

/// What a stream takes out in one go.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) items: Vec<Item>,
    /// What they cost.
    pub(super) bytes: usize,
    /// The hub's position when the last item was put in.
    pub(super) position: i64,
}

#[derive(Debug, Default)]
struct Queue {
    items: Vec<Item>,
    bytes: usize,
    position: i64,
    waker: Option<Waker>,
    end: Option<api::Error>,
}

/// The queue between the hub, which never waits for it, and one stream, which is woken by it.
///
/// The lock is held only to append or take a vector.
#[derive(Debug)]
pub struct Outbox {
    queue: Mutex<Queue>,
    /// Cost of what was put in and not yet released. Sequentially consistent together with
    /// `starved`: the hub writes `starved` then reads `pending_bytes`, the stream the other way
    /// round, so that one of them sees the other and nobody waits for ever.
    pending_bytes: AtomicUsize,
    /// A watcher of the stream waits for room.
    starved: AtomicBool,
    counters: Arc<Counters>,
    limits: Limits,
}

impl Outbox {
    /// An empty outbox.
    pub(super) fn new(limits: Limits, counters: Arc<Counters>) -> Self {
        Self {
            queue: Mutex::default(),
            pending_bytes: AtomicUsize::new(0),
            starved: AtomicBool::new(false),
            counters,
            limits,
        }
    }

    /// Moves all of `items`, which cost `bytes`, to the end and wakes the stream.
    pub(super) fn append(&self, items: &mut Vec<Item>, bytes: usize, position: i64) {
        self.pending_bytes.fetch_add(bytes, Ordering::SeqCst);
        self.counters.pending_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.counters.pending_events.fetch_add(items.len(), Ordering::Relaxed);
        let mut queue = self.queue.lock();
        if queue.items.is_empty() {
            std::mem::swap(&mut queue.items, items);
        } else {
            queue.items.append(items);
        }
        queue.bytes += bytes;
        queue.position = position;
        wake(queue);
    }

    /// Ends the stream with an error, whatever still waits.
    pub(super) fn end(&self, error: api::Error) {
        let mut queue = self.queue.lock();
        queue.end.get_or_insert(error);
        wake(queue);
    }

    /// Everything that waits; pending until there is something.
    ///
    /// # Errors
    /// The one the stream is to end with.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Result<Taken, api::Error>> {
        let mut queue = self.queue.lock();
        if let Some(error) = &queue.end {
            return Poll::Ready(Err(error.clone()));
        }
        if queue.items.is_empty() {
            queue.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let items = std::mem::take(&mut queue.items);
        let bytes = std::mem::take(&mut queue.bytes);
        Poll::Ready(Ok(Taken { items, bytes, position: queue.position }))
    }

    /// Gives back the room of what was written. True when the hub should be told
    /// ([`super::Hub::resume`]) because a watcher waited for it.
    pub(super) fn release(&self, items: usize, bytes: usize) -> bool {
        self.counters.pending_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.counters.pending_events.fetch_sub(items, Ordering::Relaxed);
        self.pending_bytes.fetch_sub(bytes, Ordering::SeqCst);
        self.has_ample_room() && self.starved.swap(false, Ordering::SeqCst)
    }

    /// Counts events that were written.
    pub(super) fn count_sent(&self, events: usize) {
        self.counters.events.fetch_add(events as u64, Ordering::Relaxed);
    }

    /// Whether another revision may be put in, on top of `staged` bytes about to be appended.
    pub(super) fn has_room(&self, staged: usize) -> bool {
        self.pending_bytes.load(Ordering::SeqCst) + staged < self.bytes_max()
    }

    /// Asks to be told by [`Self::release`]; false when there is ample room already.
    pub(super) fn starve(&self) -> bool {
        self.starved.store(true, Ordering::SeqCst);
        !(self.has_ample_room() && self.starved.swap(false, Ordering::SeqCst))
    }

    /// Half of it: a watcher that catches up shall do so in few, large steps.
    fn has_ample_room(&self) -> bool {
        self.pending_bytes.load(Ordering::SeqCst) < self.bytes_max() / 2
    }

    fn bytes_max(&self) -> usize {
        self.limits.outbox_bytes_max(self.counters.pending_bytes())
    }
}

/// Wakes outside the lock, so that the stream does not run into it.
fn wake(mut queue: parking_lot::MutexGuard<'_, Queue>) {
    let waker = queue.waker.take();
    drop(queue);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What was never taken no longer counts.
impl Drop for Outbox {
    fn drop(&mut self) {
        let queue = self.queue.get_mut();
        self.counters.pending_bytes.fetch_sub(queue.bytes, Ordering::Relaxed);
        self.counters.pending_events.fetch_sub(queue.items.len(), Ordering::Relaxed);
    }
}
