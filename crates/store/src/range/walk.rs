//! A range in order of key, resumable between holds of the lock.

use api::etcdserverpb::RangeRequest;

use super::output::Output;
use super::{CHUNK_ROWS_MAX, Stop, View};
use crate::index::{At, Bounds, Entry};
use crate::store::Store;

/// Keys looked at under one hold of the lock, when most of them do not belong to the answer.
pub(super) const CHUNK_KEYS_MAX: usize = 16 * CHUNK_ROWS_MAX;

/// What is left to read of a range at a fixed revision.
pub(super) struct Walk {
    rest: Bounds,
    main: i64,
    keys_only: bool,
    count: u64,
    rows_left: u64,
    more: bool,
}

impl Walk {
    /// Counts the keys and knows from then on how many rows there will be.
    pub fn start(store: &Store, request: &RangeRequest, main: i64) -> Self {
        let rest = Bounds::new(&request.key, &request.range_end);
        let count = store.index.count(&rest, main);
        let limit = u64::try_from(request.limit).ok().filter(|limit| *limit > 0);
        let rows_left = match request.count_only {
            true => 0,
            false if super::is_custom(request) => count,
            false => limit.map_or(count, |limit| limit.min(count)),
        };
        let more = !request.count_only && rows_left < count;
        Self { rest, main, keys_only: request.keys_only, count, rows_left, more }
    }

    /// The revision read at.
    pub fn main(&self) -> i64 {
        self.main
    }

    /// Keys in the range, whatever the limit.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Rows still to come.
    pub fn rows_left(&self) -> u64 {
        self.rows_left
    }

    /// Whether the limit cuts keys off.
    pub fn more(&self) -> bool {
        self.more
    }

    /// Appends rows in another hold of the lock, at most `rows_max`.
    pub fn fill_through<V: View>(
        &mut self,
        view: &V,
        rows_max: usize,
        output: &mut Output,
    ) -> Result<(), Stop> {
        view.with(|store| {
            view.check()?;
            self.fill(store, rows_max, output);
            Ok::<_, Stop>(())
        })?;
        output.load_cold(view)
    }

    /// Appends rows, at most `rows_max`.
    pub fn fill(&mut self, store: &Store, rows_max: usize, output: &mut Output) {
        if self.rows_left == 0 {
            return;
        }
        if self.rest.single {
            self.rows_left = 0;
            if let Some(entry) = store.index.get(&self.rest.start) {
                append(store, entry, self.main, self.keys_only, output);
            }
            return;
        }
        let rows_max = self.rows_left.min(rows_max as u64);
        let mut rows = 0;
        let mut last: Option<&Entry> = None;
        for entry in store.index.entries(&self.rest).take(CHUNK_KEYS_MAX) {
            last = Some(entry);
            rows += u64::from(append(store, entry, self.main, self.keys_only, output));
            if rows == rows_max {
                break;
            }
        }
        self.rows_left -= rows;
        match last {
            Some(last) if self.rows_left > 0 => self.rest = self.rest.after(last.key()),
            _ => self.rows_left = 0,
        }
    }
}

/// Appends the version of `entry` as of `main`; `false` when there was none.
fn append(store: &Store, entry: &Entry, main: i64, keys_only: bool, output: &mut Output) -> bool {
    match entry.at(main) {
        At::Absent => return false,
        At::Newest if keys_only => output.view(&entry.view_without_value()),
        At::Newest => match entry.read() {
            Some(record) => output.record(record, false),
            None => output.cold(entry.revision(), false),
        },
        At::Past(revision) => match store.fresh(revision) {
            Some(record) => output.record(record, keys_only),
            None => output.cold(revision, keys_only),
        },
    }
    true
}
