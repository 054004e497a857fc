//! The latest events, kept in memory for watchers that fell behind a little.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::Event;

/// A window over the newest revisions, without holes, bounded in bytes.
///
/// The records are mostly the store's own, so the window costs less than its count says; what it
/// saves is the database read for every watcher whose connection stalled for a moment.
#[derive(Debug)]
pub(super) struct Recent {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    bytes_max: usize,
    /// Every event with this main revision or a later one is here.
    complete_from: i64,
}

impl Recent {
    /// An empty window; `complete_from` is the first revision that will be recorded.
    pub(super) fn new(bytes_max: usize, complete_from: i64) -> Self {
        Self { events: VecDeque::new(), bytes: 0, bytes_max, complete_from }
    }

    /// Records the next event and drops whole revisions from the other end while there are too
    /// many bytes.
    pub(super) fn push(&mut self, event: Arc<Event>) {
        self.bytes += event.memory_bytes();
        self.events.push_back(event);
        while self.bytes > self.bytes_max {
            self.drop_oldest_revision();
        }
    }

    /// Forgets everything; the next event will have a revision of at least `complete_from`.
    pub(super) fn restart(&mut self, complete_from: i64) {
        self.events.clear();
        self.bytes = 0;
        self.complete_from = complete_from;
    }

    /// The events with `from <= main <= to`; `None` when some of them are gone.
    pub(super) fn between(&self, from: i64, to: i64) -> Option<Vec<Arc<Event>>> {
        if from < self.complete_from {
            return None;
        }
        let start = self.events.partition_point(|event| event.revision().main < from);
        let end = self.events.partition_point(|event| event.revision().main <= to);
        Some(self.events.range(start..end).cloned().collect())
    }

    fn drop_oldest_revision(&mut self) {
        let Some(oldest) = self.events.front().map(|event| event.revision().main) else { return };
        self.complete_from = oldest + 1;
        while let Some(event) = self.events.front() {
            if event.revision().main != oldest {
                return;
            }
            self.bytes -= event.memory_bytes();
            self.events.pop_front();
        }
    }
}
