//! The hash members compare to find out whether they hold the same.

use std::ops::ControlFlow;

use api::Error;

use crate::change::RowKind;
use crate::history::History;
use crate::ids::Revision;
use crate::range::{Shared, Stop, View};
use crate::read_error::ReadError;
use crate::record::Record;
use crate::shared::SharedStore;
use crate::store::FreshRow;

/// A hash and what it covers. Hashes are comparable between members when both revisions agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKv {
    /// CRC-32C over revision, kind and record of every row that compaction has left.
    pub hash: u32,
    /// The compaction the rows were left by; -1 for none.
    pub compact_revision: i64,
    /// Main revision of the last row covered.
    pub hash_revision: i64,
}

/// Rows whose reachability is asked for under one hold of the lock.
const CHECKED_ROWS_MAX: usize = 256;

/// Hashes the rows up to `revision`, 0 for now. Which rows count follows from the compaction alone:
/// those it gave up do not, whether or not they have been removed already.
pub(crate) fn hash_kv(shared: &SharedStore, revision: i64) -> Result<HashKv, ReadError> {
    let view = Shared::new(shared, None);
    let scope = view.with(|store| {
        let main = match revision {
            ..=0 => store.current,
            revision if revision > store.current => return Err(Error::FutureRevision.into()),
            revision if revision < store.compacted => return Err(Error::Compacted.into()),
            revision => revision,
        };
        // Nothing above the compaction can go while this runs, so the index goes on telling which
        // rows the compaction left.
        view.pin(store.compacted)?;
        let (settled, fresh) = store.fresh_rows();
        let fresh = fresh.iter().filter(|(revision, ..)| revision.main <= main).cloned().collect();
        Ok::<_, Stop>(Scope { main, compacted: store.compacted, settled, fresh })
    });
    scope.and_then(|scope| scope.hash(&view, shared.history())).map_err(Stop::into_error)
}

struct Scope {
    main: i64,
    compacted: i64,
    /// Up to here the history has every row.
    settled: i64,
    /// The rows after that.
    fresh: Vec<FreshRow>,
}

impl Scope {
    fn hash(self, view: &Shared<'_>, history: &dyn History) -> Result<HashKv, Stop> {
        let mut hasher = Hasher { view, compacted: self.compacted, unchecked: vec![], crc: 0 };
        let mut outcome = Ok(());
        history.scan(0, self.main.min(self.settled), &mut |revision, kind, record| {
            outcome = hasher.row((revision, kind, record));
            if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        outcome?;
        for row in self.fresh {
            hasher.row(row)?;
        }
        Ok(HashKv {
            hash: hasher.finish()?,
            compact_revision: self.compacted,
            hash_revision: self.main,
        })
    }
}

struct Hasher<'a> {
    view: &'a Shared<'a>,
    compacted: i64,
    /// Rows of which it is not known yet whether the compaction left them.
    unchecked: Vec<FreshRow>,
    crc: u32,
}

impl Hasher<'_> {
    /// Takes the next row in order of revision.
    fn row(&mut self, row: FreshRow) -> Result<(), Stop> {
        if row.0.main <= self.compacted {
            self.unchecked.push(row);
            if self.unchecked.len() < CHECKED_ROWS_MAX {
                return Ok(());
            }
            return self.check();
        }
        self.check()?;
        self.add(row.0, row.1, &row.2);
        Ok(())
    }

    fn check(&mut self) -> Result<(), Stop> {
        if self.unchecked.is_empty() {
            return Ok(());
        }
        let mut rows = std::mem::take(&mut self.unchecked);
        self.view.with(|store| {
            self.view.check()?;
            rows.retain(|(revision, _, record)| {
                store.survives(record.view().key, *revision, self.compacted)
            });
            Ok::<_, Stop>(())
        })?;
        rows.iter().for_each(|(revision, kind, record)| self.add(*revision, *kind, record));
        rows.clear();
        self.unchecked = rows;
        Ok(())
    }

    fn add(&mut self, revision: Revision, kind: RowKind, record: &Record) {
        let mut head = [0; 17];
        head[..8].copy_from_slice(&revision.main.to_be_bytes());
        head[8..16].copy_from_slice(&revision.sub.to_be_bytes());
        head[16] = u8::from(kind == RowKind::Delete);
        self.crc = crc32c::crc32c_append(self.crc, &head);
        self.crc = crc32c::crc32c_append(self.crc, record.as_bytes());
    }

    fn finish(mut self) -> Result<u32, Stop> {
        self.check()?;
        self.view.with(|_| self.view.check())?;
        Ok(self.crc)
    }
}
