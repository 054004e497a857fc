//! A database that is a map.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Mutex;

use quorate_store::{Change, History, HistoryError, Record, Revision, RowKind};

/// All rows handed out and not removed.
#[derive(Default)]
pub struct MemoryHistory(Mutex<BTreeMap<Revision, (RowKind, Record)>>);

impl MemoryHistory {
    /// Does what the changes say.
    pub fn take(&self, changes: &[Change]) {
        let mut rows = self.0.lock().unwrap();
        for change in changes {
            match change {
                Change::Row(row) => {
                    let before = rows.insert(row.revision, (row.kind, row.record.clone()));
                    assert!(before.is_none(), "revision {} was handed out twice", row.revision);
                }
                Change::RowsRemoved(revisions) => {
                    for revision in revisions {
                        assert!(rows.remove(revision).is_some(), "{revision} removed twice");
                    }
                }
                _ => {}
            }
        }
    }

    pub fn rows(&self) -> Vec<(Revision, RowKind, Record)> {
        let rows = self.0.lock().unwrap();
        rows.iter().map(|(revision, (kind, record))| (*revision, *kind, record.clone())).collect()
    }
}

impl History for MemoryHistory {
    fn load(&self, revision: Revision) -> Result<Record, HistoryError> {
        let rows = self.0.lock().unwrap();
        let row = rows.get(&revision).ok_or(HistoryError::Missing(revision))?;
        Ok(row.1.clone())
    }

    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        for (revision, kind, record) in self.rows() {
            if revision.main >= from
                && revision.main <= to
                && visit(revision, kind, record).is_break()
            {
                break;
            }
        }
        Ok(())
    }
}
