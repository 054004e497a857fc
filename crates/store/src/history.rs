//! How the store reaches versions that are no longer in memory.

use std::ops::ControlFlow;

use thiserror::Error;

use crate::change::RowKind;
use crate::ids::Revision;
use crate::record::Record;

/// The rows on disk, with those on their way there.
///
/// Whatever was handed out as a [`crate::Change::Row`] can be read back at once, committed to the
/// database or not. Calls block on I/O; they are made off the asynchronous threads or for few rows.
pub trait History: Send + Sync {
    /// The record of one row.
    ///
    /// # Errors
    /// When the row cannot be read; its absence is an error too, because only revisions the index
    /// knows are asked for.
    fn load(&self, revision: Revision) -> Result<Record, HistoryError>;

    /// Visits the rows with `from <= main <= to` in order of revision until told to stop.
    ///
    /// # Errors
    /// When a row cannot be read.
    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError>;
}

/// A row could not be read. The member cannot go on: its state is no longer what it agreed to.
#[derive(Clone, Debug, Error)]
pub enum HistoryError {
    /// The index names a row that the database does not have.
    #[error("revision {0} is in the index but not in the database")]
    Missing(Revision),
    /// The database failed or returned a damaged row.
    #[error("reading the database: {0}")]
    Io(String),
}
