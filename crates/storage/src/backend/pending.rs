//! What was handed to the backend and is not committed yet: the queue of the writer, and the rows
//! in it, which readers must find at once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use store::{Change, Record, Revision, RowKind};

use super::BackendError;
use super::writer::Order;
use crate::position::LogPosition;

/// What one run of applied commands changed, and the position after it.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The last command in it.
    pub position: LogPosition,
    /// The membership, when an entry in the run changed it.
    pub membership: Option<Bytes>,
    /// In order.
    pub changes: Vec<Change>,
}

/// A transaction is due when its first batch has waited this long.
const COMMIT_DELAY: Duration = Duration::from_millis(100);
/// A transaction is due, and takes no further batch, with this many rows.
pub(super) const COMMIT_ROWS: usize = 10_000;
/// A transaction is due, and takes no further batch, with this many bytes of records.
const COMMIT_BYTES: usize = 8 << 20;
/// `enqueue` blocks when more rows than this would wait.
const QUEUE_ROWS_MAX: usize = 4 * COMMIT_ROWS;
/// `enqueue` blocks when more bytes of records than this would wait.
const QUEUE_BYTES_MAX: usize = 2 * COMMIT_BYTES;

/// Rows and bytes that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Weight {
    pub rows: usize,
    pub bytes: usize,
}

impl Weight {
    fn of(batch: &Batch) -> Self {
        let mut weight = Self::default();
        for change in &batch.changes {
            match change {
                Change::Row(row) => {
                    weight.rows += 1;
                    weight.bytes += row.record.as_bytes().len();
                }
                Change::RowsRemoved(revisions) => weight.rows += revisions.len(),
                _ => weight.rows += 1,
            }
        }
        weight
    }

    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.bytes += other.bytes;
    }

    pub fn remove(&mut self, other: Self) {
        self.rows -= other.rows;
        self.bytes -= other.bytes;
    }
}

/// Rows that readers must find although no transaction holds them, ascending by revision.
#[derive(Default)]
pub(super) struct Overlay(VecDeque<(Revision, RowKind, Record)>);

impl Overlay {
    fn extend(&mut self, batch: &Batch) {
        for change in &batch.changes {
            if let Change::Row(row) = change {
                let ascending = self.0.back().is_none_or(|(last, ..)| *last < row.revision);
                assert!(ascending, "rows are handed over in order of revision");
                self.0.push_back((row.revision, row.kind, row.record.clone()));
            }
        }
    }

    /// Drops the rows up to `last`, which are committed.
    pub fn drop_through(&mut self, last: Revision) {
        let count = self.0.partition_point(|(revision, ..)| *revision <= last);
        self.0.drain(..count);
        if self.0.is_empty() {
            self.0.shrink_to(OVERLAY_SLOTS_KEPT);
        }
    }

    pub fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    pub fn get(&self, revision: Revision) -> Option<Record> {
        let at = self.0.binary_search_by_key(&revision, |(revision, ..)| *revision).ok()?;
        Some(self.0[at].2.clone())
    }

    /// The first `count_max` rows with `after < revision` and `main <= to`.
    pub fn rows_after(
        &self,
        after: Revision,
        to: i64,
        count_max: usize,
    ) -> Vec<(Revision, RowKind, Record)> {
        let start = self.0.partition_point(|(revision, ..)| *revision <= after);
        let rows = self.0.range(start..).take_while(|(revision, ..)| revision.main <= to);
        rows.take(count_max).cloned().collect()
    }
}

/// Slots the emptied overlay keeps allocated.
const OVERLAY_SLOTS_KEPT: usize = 4096;

/// The queue of the writer. Bounded by [`QUEUE_ROWS_MAX`] and [`QUEUE_BYTES_MAX`].
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
    drained: Condvar,
}

#[derive(Default)]
struct State {
    batches: VecDeque<(Instant, Batch)>,
    /// Of `batches` and of what the writer has taken and not committed.
    waiting: Weight,
    /// With the number of batches that were queued before each.
    orders: VecDeque<(u64, Order)>,
    /// Batches ever queued, and taken or forgotten.
    pushed: u64,
    taken: u64,
    closing: bool,
    /// The writer has ended: nothing is taken any more.
    closed: bool,
}

/// What the writer does next.
pub(super) enum Work {
    /// Commit these. Non-empty.
    Commit(Vec<Batch>),
    /// Everything queued before the order is committed.
    Order(Order),
    /// Nothing is queued; asked only when there is housekeeping.
    Idle,
    Close,
}

impl Queue {
    /// Adds a batch and lets `show` make its rows readable; blocks while the queue is full.
    /// Returns false when the writer has ended.
    pub fn push(&self, batch: Batch, overlay: &parking_lot::RwLock<super::View>) -> bool {
        let weight = Weight::of(&batch);
        let mut state = self.state.lock();
        while !state.closed && state.is_full(weight) {
            self.drained.wait(&mut state);
        }
        if state.closed {
            return false;
        }
        overlay.write().overlay.extend(&batch);
        state.waiting.add(weight);
        state.pushed += 1;
        state.batches.push_back((Instant::now(), batch));
        let wake = state.batches.len() == 1 || state.is_due();
        drop(state);
        if wake {
            self.filled.notify_one();
        }
        true
    }

    /// Whether `push` would not block now.
    pub fn has_room_for(&self, batch: &Batch) -> bool {
        let state = self.state.lock();
        state.closed || !state.is_full(Weight::of(batch))
    }

    /// Adds an order, which takes its turn after what is queued, now.
    pub fn order(&self, order: Order) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            return order.refuse(BackendError::Closed);
        }
        let before = state.pushed;
        state.orders.push_back((before, order));
        drop(state);
        self.filled.notify_one();
    }

    /// Lets the writer end once everything is committed.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.filled.notify_one();
    }

    /// Waits until something is due; with `housekeeping`, only looks.
    pub fn next(&self, housekeeping: bool) -> Work {
        let mut state = self.state.lock();
        loop {
            if let Some(order) = state.take_order() {
                return Work::Order(order);
            }
            let deadline = state.batches.front().map(|(since, _)| *since + COMMIT_DELAY);
            let urgent = state.closing || !state.orders.is_empty() || state.is_due();
            match deadline {
                Some(deadline) if urgent || Instant::now() >= deadline => {
                    return Work::Commit(state.take_batches());
                }
                None if state.closing => return Work::Close,
                _ if housekeeping => return Work::Idle,
                Some(deadline) => drop(self.filled.wait_until(&mut state, deadline)),
                None => self.filled.wait(&mut state),
            }
        }
    }

    /// What was taken is committed: there is room again.
    pub fn committed(&self, weight: Weight) {
        self.state.lock().waiting.remove(weight);
        self.drained.notify_all();
    }

    /// Pauses after a failed attempt; shorter when the backend is being closed. True when it is.
    pub fn pause(&self, pause: Duration) -> bool {
        let mut state = self.state.lock();
        let deadline = Instant::now() + pause;
        while !state.closing && !self.filled.wait_until(&mut state, deadline).timed_out() {}
        state.closing
    }

    /// Forgets the batches: a snapshot contains them.
    pub fn discard(&self) {
        let mut state = self.state.lock();
        state.batches.clear();
        state.taken = state.pushed;
        state.waiting = Weight::default();
        drop(state);
        self.drained.notify_all();
    }

    /// The writer has ended: wakes who waits and refuses what is left.
    pub fn end(&self, error: &BackendError) {
        let mut state = self.state.lock();
        state.closed = true;
        let orders = std::mem::take(&mut state.orders);
        drop(state);
        self.drained.notify_all();
        for (_, order) in orders {
            order.refuse(error.clone());
        }
    }

    /// Rows and bytes that wait.
    pub fn waiting(&self) -> Weight {
        self.state.lock().waiting
    }
}

impl State {
    /// A batch longer than the bound passes when nothing else waits.
    fn is_full(&self, more: Weight) -> bool {
        let rows = self.waiting.rows;
        let bytes = self.waiting.bytes;
        (rows > 0 && rows + more.rows > QUEUE_ROWS_MAX)
            || (bytes > 0 && bytes + more.bytes > QUEUE_BYTES_MAX)
    }

    fn is_due(&self) -> bool {
        self.waiting.rows >= COMMIT_ROWS || self.waiting.bytes >= COMMIT_BYTES
    }

    /// The next order, once everything queued before it was taken. What is queued after it does
    /// not hold it up.
    fn take_order(&mut self) -> Option<Order> {
        let (before, _) = self.orders.front()?;
        if self.taken < *before {
            return None;
        }
        self.orders.pop_front().map(|(_, order)| order)
    }

    fn take_batches(&mut self) -> Vec<Batch> {
        let mut taken = Vec::new();
        let mut weight = Weight::default();
        while let Some((_, batch)) = self.batches.pop_front() {
            weight.add(Weight::of(&batch));
            self.taken += 1;
            taken.push(batch);
            if weight.rows >= COMMIT_ROWS || weight.bytes >= COMMIT_BYTES {
                break;
            }
        }
        taken
    }
}

/// Rows and bytes of batches that were taken together.
pub(super) fn weight_of(batches: &[Batch]) -> Weight {
    let mut weight = Weight::default();
    batches.iter().for_each(|batch| weight.add(Weight::of(batch)));
    weight
}
