//! Physical compaction: removing, in small steps, the rows that logical compaction gave up.

use crate::change::Change;
use crate::index::TrimCursor;
use crate::store::{NOT_COMPACTED, Store};

/// How far physical removal has come.
pub(crate) struct Trim {
    /// A whole walk over the index has been finished for this main revision.
    done: i64,
    /// The walk under way and the revision it trims at.
    running: Option<(i64, TrimCursor)>,
}

impl Trim {
    pub fn new() -> Self {
        Self { done: NOT_COMPACTED, running: None }
    }
}

impl Store {
    /// One step: removes at most `rows_max` rows that compaction does not leave and no reader
    /// pinned at `lowest_pin` or above can want. `false`: nothing is left to do for now.
    ///
    /// A walk keeps the revision it started with. A reader pinned later is at or above that
    /// revision already: it could not have started below the compacted one.
    pub(crate) fn compact_step(
        &mut self,
        lowest_pin: Option<i64>,
        rows_max: usize,
        changes: &mut Vec<Change>,
    ) -> bool {
        let allowed = lowest_pin.map_or(self.compacted, |pin| pin.min(self.compacted));
        let (main, mut cursor) = match self.trim.running.take() {
            Some(running) => running,
            None if allowed <= self.trim.done => return false,
            None => (allowed, TrimCursor::start()),
        };
        let mut removed = Vec::new();
        let finished = self.index.trim(&mut cursor, main, rows_max.max(1), &mut removed);
        if !removed.is_empty() {
            changes.push(Change::RowsRemoved(removed));
        }
        if finished {
            self.trim.done = main;
        } else {
            self.trim.running = Some((main, cursor));
        }
        !finished || self.trim.done < allowed
    }

    /// Whether rows remain that compaction does not leave.
    pub fn is_trimmed(&self) -> bool {
        self.trim.running.is_none() && self.trim.done >= self.compacted
    }
}
