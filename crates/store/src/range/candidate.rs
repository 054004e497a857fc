//! A row that may belong to a sorted or filtered answer.

use super::{Stop, View};
use crate::ids::Revision;
use crate::index::{At, Entry};
use crate::record::Record;
use crate::store::Store;

/// What filters and sort orders look at, and the record when it is at hand.
pub(super) struct Candidate {
    pub revision: Revision,
    pub create: i64,
    pub version: i64,
    pub record: Option<Record>,
    /// `create` and `version` stand in a record that has yet to be loaded.
    in_record: bool,
}

impl Candidate {
    /// The version of `entry` as of `main`.
    pub fn new(store: &Store, entry: &Entry, main: i64) -> Option<Self> {
        match entry.at(main) {
            At::Absent => None,
            At::Newest => Some(Self {
                revision: entry.revision(),
                create: entry.create(),
                version: entry.version(),
                record: entry.read().cloned(),
                in_record: false,
            }),
            At::Past(revision) => Some(Self {
                revision,
                create: 0,
                version: 0,
                record: store.fresh(revision).cloned(),
                in_record: true,
            }),
        }
    }

    /// Loads what is not known yet.
    pub fn complete<V: View>(&mut self, view: &V, with_record: bool) -> Result<(), Stop> {
        if self.record.is_none() && (self.in_record || with_record) {
            self.record = Some(view.load(self.revision)?);
        }
        if let (true, Some(record)) = (self.in_record, &self.record) {
            let fields = record.view();
            (self.create, self.version) = (fields.create_revision, fields.version);
        }
        Ok(())
    }

    /// The value, once completed with the record.
    pub fn value(&self) -> &[u8] {
        self.record.as_ref().map_or(&[], |record| record.view().value)
    }
}
