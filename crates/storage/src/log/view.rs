//! What the log holds, as readers see it: positions, the recent entries, and where older ones
//! stand on disk.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;

use super::LogRecord;
use crate::files::File;
use crate::position::LogPosition;

/// An entry gets a mark when this many bytes have been written since the last mark: a read from
/// disk skips at most this much, and a segment of 64 MiB needs 4096 marks (96 KiB of memory).
pub(super) const MARK_DISTANCE_BYTES: u64 = 16 << 10;

/// Where an entry stands; entries up to the next mark follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    pub index: u64,
    pub sequence: u64,
    pub offset: u64,
}

/// A segment as readers need it.
#[derive(Clone)]
pub(super) struct Segment {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    /// Bytes set aside on disk.
    pub capacity: u64,
    /// End of what is synced, bytes.
    pub end: u64,
    /// Largest index ever written into it, superseded entries included.
    pub index_max: Option<u64>,
}

/// Part of a segment that holds the wanted entry.
pub(super) struct Span {
    pub file: Arc<dyn File>,
    pub path: PathBuf,
    pub sequence: u64,
    pub start: u64,
    pub end: u64,
    /// Entries from this index on were truncated away later and stand here no longer in force.
    pub index_end: u64,
}

struct Held {
    record: LogRecord,
    /// The job that writes it; it may leave memory once that one is synced.
    job: u64,
}

/// The log in memory. Jobs are numbered in the order of the queue.
pub(super) struct View {
    pub purged: Option<LogPosition>,
    pub last: Option<LogPosition>,
    /// The newest entries without a gap up to `last`; those not yet synced are always here.
    tail: VecDeque<Held>,
    tail_bytes: usize,
    tail_bytes_max: usize,
    synced_job: u64,
    jobs: u64,
    /// Ascending by index and by place.
    pub marks: VecDeque<Mark>,
    /// By sequence number, the active one included.
    pub segments: BTreeMap<u64, Segment>,
}

/// Memory an entry takes beside its payload, bytes.
const HELD_BYTES: usize = size_of::<Held>();

impl View {
    pub fn new(
        purged: Option<LogPosition>,
        last: Option<LogPosition>,
        tail_bytes_max: usize,
    ) -> Self {
        Self {
            purged,
            last,
            tail: VecDeque::new(),
            tail_bytes: 0,
            tail_bytes_max,
            synced_job: 0,
            jobs: 0,
            marks: VecDeque::new(),
            segments: BTreeMap::new(),
        }
    }

    /// Takes entries that are about to be queued; returns the number of their job.
    ///
    /// # Panics
    /// When the indices leave a gap or go back: a hole in the log is never written.
    pub fn append(&mut self, records: &[LogRecord]) -> u64 {
        self.jobs += 1;
        for record in records {
            if let Some(last) = self.last {
                assert_eq!(record.position.index, last.index + 1, "entries must be consecutive");
            }
            self.last = Some(record.position);
            self.tail_bytes += record.payload.len() + HELD_BYTES;
            self.tail.push_back(Held { record: record.clone(), job: self.jobs });
        }
        self.evict();
        self.jobs
    }

    /// Forgets entries after `keep`; returns the number of the job.
    pub fn truncate_after(&mut self, keep: Option<LogPosition>) -> u64 {
        self.jobs += 1;
        while let Some(held) = self.tail.back() {
            if keep.is_some_and(|keep| held.record.position.index <= keep.index) {
                break;
            }
            self.tail_bytes -= held.record.payload.len() + HELD_BYTES;
            self.tail.pop_back();
        }
        self.last = self.last.min(keep.max(self.purged));
        self.jobs
    }

    /// Forgets entries up to `upto`; returns the number of the job.
    pub fn purge(&mut self, upto: LogPosition) -> u64 {
        self.jobs += 1;
        while self.tail.front().is_some_and(|held| held.record.position.index <= upto.index) {
            self.pop_front();
        }
        self.purged = self.purged.max(Some(upto));
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
        self.jobs
    }

    /// Everything up to job `job` is on disk.
    pub fn synced(&mut self, job: u64) {
        self.synced_job = job;
        self.evict();
    }

    fn evict(&mut self) {
        while self.tail_bytes > self.tail_bytes_max
            && self.tail.front().is_some_and(|held| held.job <= self.synced_job)
        {
            self.pop_front();
        }
        if self.tail.is_empty() {
            self.tail.shrink_to(TAIL_SLOTS_KEPT);
        }
    }

    fn pop_front(&mut self) {
        if let Some(held) = self.tail.pop_front() {
            self.tail_bytes -= held.record.payload.len() + HELD_BYTES;
        }
    }

    /// Where the log begins: after what was purged, else at the first entry that was ever appended.
    pub fn first_index(&self) -> u64 {
        if let Some(purged) = self.purged {
            return purged.index + 1;
        }
        let on_disk = self.marks.front().map(|mark| mark.index);
        [on_disk, self.tail_first()].into_iter().flatten().min().unwrap_or(0)
    }

    /// Index of the oldest entry in memory.
    pub fn tail_first(&self) -> Option<u64> {
        self.tail.front().map(|held| held.record.position.index)
    }

    /// Adds entries from memory, `from <= index < to`, until `bytes_left` is used up; the first
    /// one is added in any case.
    pub fn read_tail(
        &self,
        from: u64,
        to: u64,
        bytes_left: &mut u64,
        records: &mut Vec<LogRecord>,
    ) {
        let Some(first) = self.tail_first() else { return };
        let skip = from.saturating_sub(first) as usize;
        let count = to.saturating_sub(from.max(first)) as usize;
        for held in self.tail.iter().skip(skip).take(count) {
            let size = held.record.payload.len() as u64;
            if size > *bytes_left && !records.is_empty() {
                *bytes_left = 0;
                return;
            }
            *bytes_left = bytes_left.saturating_sub(size);
            records.push(held.record.clone());
        }
    }

    /// The entry if it is in memory.
    pub fn in_tail(&self, index: u64) -> Option<&LogRecord> {
        let skip = index.checked_sub(self.tail_first()?)?;
        self.tail.get(usize::try_from(skip).ok()?).map(|held| &held.record)
    }

    /// Where entry `index` stands on disk.
    pub fn span(&self, index: u64) -> Option<Span> {
        let after = self.marks.partition_point(|mark| mark.index <= index);
        let mark = self.marks.get(after.checked_sub(1)?)?;
        let segment = self.segments.get(&mark.sequence)?;
        let next = self.marks.get(after);
        let end = next.filter(|next| next.sequence == mark.sequence).map(|next| next.offset);
        Some(Span {
            file: segment.file.clone(),
            path: segment.path.clone(),
            sequence: mark.sequence,
            start: mark.offset,
            end: end.unwrap_or(segment.end),
            index_end: next.map_or(u64::MAX, |next| next.index),
        })
    }

    /// Drops what the marks say of entries after `keep`, which were truncated.
    pub fn drop_marks_after(&mut self, keep: Option<LogPosition>) {
        while self.marks.back().is_some_and(|mark| keep.is_none_or(|keep| mark.index > keep.index))
        {
            self.marks.pop_back();
        }
    }

    /// Takes out the leading segments that hold no entry after `upto`; the active one stays.
    pub fn take_purged(&mut self, upto: u64) -> Vec<Segment> {
        let mut taken = Vec::new();
        while self.segments.len() > 1 {
            let (&sequence, segment) = self.segments.first_key_value().expect("more than one");
            if segment.index_max.is_some_and(|max| max > upto) {
                break;
            }
            while self.marks.front().is_some_and(|mark| mark.sequence == sequence) {
                self.marks.pop_front();
            }
            taken.extend(self.segments.remove(&sequence));
        }
        taken
    }
}

/// Slots the emptied tail keeps allocated.
const TAIL_SLOTS_KEPT: usize = 1024;
