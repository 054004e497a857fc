//! The live feed: applied rows to synced watchers.

use std::sync::Arc;

use super::event::Event;
use super::hub::Hub;
use super::watcher::Progress;
use crate::change::Row;

impl Hub {
    /// Offers applied rows, in order of revision, to the watchers that are synced.
    ///
    /// All rows of a revision must be in one call. Rows at or below the position were covered by
    /// [`Self::resync`] and are skipped; if a revision is missing before one, watchers catch up
    /// over the hole.
    pub fn feed(&mut self, rows: &[Row]) {
        for revision in rows.chunk_by(|a, b| a.revision.main == b.revision.main) {
            let main = revision[0].revision.main;
            if main <= self.position {
                continue;
            }
            if main > self.position + 1 {
                self.leave_behind(main - 1);
            }
            self.offer(revision);
            self.position = main;
        }
        self.settle_bookmarks();
        self.publish();
    }

    /// The store went to `current` without all rows being fed: a snapshot was installed, or the
    /// queue before the hub overflowed. Synced watchers catch up from history, starting with the
    /// first revision they were not offered.
    pub fn resync(&mut self, current: i64) {
        self.leave_behind(current);
        self.settle_bookmarks();
        self.publish();
    }

    /// The store went to `current` while nobody watched.
    pub fn skip_to(&mut self, current: i64) {
        assert!(self.is_idle(), "revisions are skipped only while nobody watches");
        self.leave_behind(current);
    }

    fn leave_behind(&mut self, current: i64) {
        if current <= self.position {
            return;
        }
        let first_missed = self.position + 1;
        let behind: Vec<(u32, i64)> = self
            .watchers
            .iter()
            .filter(|(_, watcher)| watcher.progress == Progress::Synced)
            .map(|(slot, watcher)| (slot, watcher.start.max(first_missed)))
            .filter(|&(_, next)| next <= current)
            .collect();
        for (slot, next) in behind {
            self.fall_behind(slot, next);
        }
        self.position = current;
        self.recent.restart(current + 1);
    }

    fn offer(&mut self, rows: &[Row]) {
        let cold = !rows.iter().all(Event::will_know_previous);
        let mut found = std::mem::take(&mut self.found);
        for row in rows {
            let event = Arc::new(Event::from_row(row));
            self.recent.push(event.clone());
            self.synced.matching(row.record.view().key, &mut found);
            // Outboxes gather events per watcher by sorting; this makes it a pass over sorted runs.
            found.sort_unstable();
            for &slot in &found {
                self.offer_to(slot, &event, cold);
            }
        }
        self.found = found;
    }

    fn offer_to(&mut self, slot: u32, event: &Arc<Event>, cold: bool) {
        let main = event.revision().main;
        let watcher = &self.watchers[slot];
        if main < watcher.start || !watcher.accepts(event.kind()) {
            return;
        }
        let begins = watcher.last != main;
        // A previous version that is not at hand is read outside the lock, in a catch-up turn.
        let must_read = cold && watcher.wish.previous;
        if begins && (must_read || !self.has_room(slot)) {
            self.fall_behind(slot, main);
        } else {
            self.give(slot, event);
        }
    }
}
