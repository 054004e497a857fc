//! What was applied and not yet offered to watchers.

use parking_lot::Mutex;
use store::{Change, Previous, Row};
use tokio::sync::Notify;

/// Bytes of rows that may wait for the hub task. Beyond, they are dropped and watchers read them
/// back from history.
const BYTES_MAX: usize = 16 << 20;

/// The queue between the apply task, which must not wait, and the hub task.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    /// Wakes the hub task; a permit stays if it is busy.
    pub(super) bell: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    rows: Vec<Row>,
    bytes: usize,
    /// Main revision of the last row that was applied, queued or not.
    position: i64,
    /// Rows up to `position` were dropped.
    lost: bool,
    /// While nobody watches, rows are not kept.
    watched: bool,
    stopped: bool,
}

/// What the hub task takes out.
#[derive(Debug)]
pub(super) struct Applied {
    pub(super) rows: Vec<Row>,
    /// Instead of rows: the revision the store has reached.
    pub(super) lost_up_to: Option<i64>,
    pub(super) stopped: bool,
}

impl Inbox {
    /// Queues the rows of applied commands; never waits.
    pub(super) fn push(&self, changes: &[Change], current: i64) {
        let mut queue = self.queue.lock();
        queue.position = queue.position.max(current);
        if !queue.watched || queue.lost {
            return;
        }
        let before = queue.rows.len();
        for change in changes {
            if let Change::Row(row) = change {
                queue.bytes += held_bytes(row);
                queue.rows.push(row.clone());
            }
        }
        if queue.bytes > BYTES_MAX {
            queue.lose();
        }
        let news = queue.lost || queue.rows.len() > before;
        drop(queue);
        if news {
            self.bell.notify_one();
        }
    }

    /// The store went to `current` without rows.
    pub(super) fn skip(&self, current: i64) {
        let mut queue = self.queue.lock();
        queue.position = queue.position.max(current);
        if queue.watched {
            queue.lose();
            self.bell.notify_one();
        }
    }

    /// Takes everything.
    pub(super) fn take(&self) -> Applied {
        let mut queue = self.queue.lock();
        queue.bytes = 0;
        let lost = std::mem::take(&mut queue.lost);
        Applied {
            rows: std::mem::take(&mut queue.rows),
            lost_up_to: lost.then_some(queue.position),
            stopped: queue.stopped,
        }
    }

    /// Somebody watches from now on. Returns the revision up to which rows were not kept, if
    /// nobody did before.
    pub(super) fn watch(&self) -> Option<i64> {
        let mut queue = self.queue.lock();
        let first = !std::mem::replace(&mut queue.watched, true);
        first.then_some(queue.position)
    }

    /// Nobody watches any more.
    pub(super) fn unwatch(&self) {
        let mut queue = self.queue.lock();
        queue.watched = false;
        queue.lose();
        queue.lost = false;
    }

    /// Tells the hub task to end.
    pub(super) fn stop(&self) {
        self.queue.lock().stopped = true;
        self.bell.notify_one();
    }
}

impl Queue {
    fn lose(&mut self) {
        self.rows = Vec::new();
        self.bytes = 0;
        self.lost = true;
    }
}

fn held_bytes(row: &Row) -> usize {
    let previous = match &row.previous {
        Previous::Hot(record) => record.memory_bytes(),
        Previous::None | Previous::Cold(_) => 0,
    };
    size_of::<Row>() + row.record.memory_bytes() + previous
}
