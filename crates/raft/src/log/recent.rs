//! The newest entries, decoded.
//!
//! Applying and replicating read back what was appended a moment ago. Handing out the same command
//! again saves decoding it a second time on the leader.

use std::collections::VecDeque;

use crate::codec::encode_payload;
use crate::types::Entry;

/// Entries kept, by the bytes of their payloads. Beyond it the oldest leave; they are read from the
/// segment log then.
const RECENT_BYTES_MAX: usize = 1 << 20;

/// A contiguous run of entries that ends with the last one of the log.
#[derive(Default)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Recent {
    /// Adds the entry after the last one; one that does not follow starts a new run.
    pub(super) fn push(&mut self, entry: Entry) {
        if self.entries.back().is_some_and(|last| last.log_id.index + 1 != entry.log_id.index) {
            self.clear();
        }
        self.bytes += payload_bytes(&entry);
        self.entries.push_back(entry);
        while self.bytes > RECENT_BYTES_MAX && self.entries.len() > 1 {
            self.pop_front();
        }
    }

    /// The entries `from..to`, as many as `bytes_max` allows but at least one; `None` when the
    /// first is not here.
    pub(super) fn get(&self, from: u64, to: u64, bytes_max: usize) -> Option<Vec<Entry>> {
        let first = self.entries.front()?.log_id.index;
        let skip = usize::try_from(from.checked_sub(first)?).ok()?;
        if skip >= self.entries.len() || from >= to {
            return None;
        }
        let wanted = usize::try_from(to - from).ok()?;
        let mut taken = 0;
        let mut found = Vec::with_capacity(wanted.min(self.entries.len() - skip));
        for entry in self.entries.iter().skip(skip).take(wanted) {
            taken += payload_bytes(entry);
            if taken > bytes_max && !found.is_empty() {
                break;
            }
            found.push(entry.clone());
        }
        Some(found)
    }

    /// Forgets the entries after `last`.
    pub(super) fn truncate_after(&mut self, last: Option<u64>) {
        while self.entries.back().is_some_and(|entry| Some(entry.log_id.index) > last) {
            let entry = self.entries.pop_back().expect("just seen");
            self.bytes -= payload_bytes(&entry);
        }
    }

    /// Forgets the entries up to and including `upto`.
    pub(super) fn purge(&mut self, upto: u64) {
        while self.entries.front().is_some_and(|entry| entry.log_id.index <= upto) {
            self.pop_front();
        }
    }

    fn pop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= payload_bytes(&entry);
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

fn payload_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(command) => command.encoded().len(),
        payload => encode_payload(payload).1.len(),
    }
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::codec::log_id;

    fn recent(range: std::ops::Range<u64>) -> Recent {
        let mut recent = Recent::default();
        range.for_each(|index| {
            recent.push(Entry { log_id: log_id(1, index), payload: EntryPayload::Blank });
        });
        recent
    }

    fn indexes(recent: &Recent, from: u64, to: u64) -> Option<Vec<u64>> {
        recent
            .get(from, to, usize::MAX)
            .map(|entries| entries.iter().map(|entry| entry.log_id.index).collect())
    }

    #[test]
    fn gives_what_it_has_and_nothing_with_a_hole() {
        let mut recent = recent(5..10);
        assert_eq!(indexes(&recent, 4, 6), None);
        assert_eq!(indexes(&recent, 6, 8), Some(vec![6, 7]));
        assert_eq!(indexes(&recent, 8, 20), Some(vec![8, 9]));
        assert_eq!(indexes(&recent, 10, 11), None);
        recent.truncate_after(Some(7));
        assert_eq!(indexes(&recent, 6, 20), Some(vec![6, 7]));
        recent.purge(6);
        assert_eq!(indexes(&recent, 6, 20), None);
        assert_eq!(indexes(&recent, 7, 20), Some(vec![7]));
    }

    #[test]
    fn an_entry_that_does_not_follow_starts_over() {
        let mut recent = recent(5..10);
        recent.push(Entry { log_id: log_id(1, 20), payload: EntryPayload::Blank });
        assert_eq!(indexes(&recent, 9, 21), None);
        assert_eq!(indexes(&recent, 20, 21), Some(vec![20]));
    }
}
