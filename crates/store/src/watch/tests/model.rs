//! A history as a list, and the questions the hub asks of it answered by searching the list.

use std::ops::ControlFlow;

use api::mvccpb::Event as ProtoEvent;

use crate::change::{Previous, Row, RowKind};
use crate::history::HistoryError;
use crate::ids::Revision;
use crate::record::{Record, RecordView};
use crate::watch::Past;

/// Every row ever written.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) rows: Vec<Row>,
    pub(super) current: i64,
    pub(super) compacted: i64,
}

/// One change of a write: a key, and a value or a deletion.
pub(super) type Edit = (u8, Option<Vec<u8>>);

impl Model {
    pub(super) fn new() -> Self {
        Self { rows: Vec::new(), current: 1, compacted: 0 }
    }

    /// Applies edits as one revision; deletions of absent keys and repeated keys are left out, but
    /// for a deletion of what was written before it.
    /// `cold` makes the store forget where it had the previous values.
    pub(super) fn write(&mut self, edits: &[Edit], cold: bool) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for (key, value) in edits {
            let key = [*key];
            let earlier = rows.iter().rev().find(|row| row.record.view().key == key);
            let repeated =
                earlier.is_some_and(|row| row.kind == RowKind::Delete || value.is_some());
            let before = earlier.or_else(|| self.live(&key, self.current)).cloned();
            if repeated || (before.is_none() && value.is_none()) {
                continue;
            }
            let revision = Revision::new(self.current + 1, rows.len() as i64);
            rows.push(row(revision, &key, value.as_deref(), before, cold));
        }
        if !rows.is_empty() {
            self.current += 1;
            self.rows.extend(rows.clone());
        }
        rows
    }

    /// The row that is the key's value at a revision.
    fn live(&self, key: &[u8], at: i64) -> Option<&Row> {
        let last = |row: &&Row| row.record.view().key == key && row.revision.main <= at;
        self.rows.iter().rev().find(last).filter(|row| row.kind == RowKind::Put)
    }

    /// Whether compaction has removed the row: something newer was there already.
    fn is_removed(&self, row: &Row) -> bool {
        let superseded = |other: &Row| {
            other.record.view().key == row.record.view().key
                && other.revision > row.revision
                && other.revision.main <= self.compacted
        };
        let dead = row.kind == RowKind::Delete && row.revision.main < self.compacted;
        row.revision.main <= self.compacted && (dead || self.rows.iter().any(superseded))
    }
}

fn row(
    revision: Revision,
    key: &[u8],
    value: Option<&[u8]>,
    before: Option<Row>,
    cold: bool,
) -> Row {
    let record = match value {
        Some(value) => {
            let old = before.as_ref().map(|row| row.record.view());
            Record::encode(&RecordView {
                key,
                create_revision: old.map_or(revision.main, |old| old.create_revision),
                mod_revision: revision.main,
                version: old.map_or(1, |old| old.version + 1),
                value,
                ..RecordView::default()
            })
        }
        None => Record::tombstone(key, revision.main),
    };
    let previous = match before {
        None => Previous::None,
        Some(row) if cold => Previous::Cold(row.revision),
        Some(row) => Previous::Hot(row.record),
    };
    let kind = if value.is_some() { RowKind::Put } else { RowKind::Delete };
    Row { revision, kind, record, previous }
}

/// What a client must see of a row; `previous` in full.
pub(super) fn proto_event(model: &Model, row: &Row) -> ProtoEvent {
    let key = row.record.view().key;
    ProtoEvent {
        r#type: i32::from(row.kind == RowKind::Delete),
        kv: Some(row.record.to_key_value()),
        prev_kv: model.live(key, row.revision.main - 1).map(|row| row.record.to_key_value()),
    }
}

impl Past for Model {
    fn compact_revision(&self) -> i64 {
        self.compacted
    }

    fn load(&self, revision: Revision) -> Result<Option<Record>, HistoryError> {
        let row = self.rows.iter().find(|row| row.revision == revision);
        Ok(row.filter(|row| !self.is_removed(row)).map(|row| row.record.clone()))
    }

    fn version_at(&self, key: &[u8], at: i64) -> Result<Option<Record>, HistoryError> {
        let row = self.live(key, at).filter(|_| at >= self.compacted);
        Ok(row.map(|row| row.record.clone()))
    }

    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        let within = |row: &&Row| from <= row.revision.main && row.revision.main <= to;
        for row in self.rows.iter().filter(within).filter(|row| !self.is_removed(row)) {
            if visit(row.revision, row.kind, row.record.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }
}
