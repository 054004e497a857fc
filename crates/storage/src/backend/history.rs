//! Reading rows: those on their way first, then those in the database.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension, Row, params};
use store::{History, HistoryError, Record, Revision, RowKind};

use super::{Backend, schema};

/// Rows read at once; the visitor runs between such steps, when no transaction is open.
const STEP_ROWS: usize = 512;
/// Bytes of records after which a step ends early.
const STEP_BYTES: usize = 1 << 20;

type StoredRow = (Revision, RowKind, Record);

impl History for Backend {
    fn load(&self, revision: Revision) -> Result<Record, HistoryError> {
        let generation = {
            let view = self.0.shared.view.read();
            if let Some(record) = view.overlay.get(revision) {
                return Ok(record);
            }
            view.generation.clone()
        };
        generation
            .read(|connection| load_row(connection, revision))
            .map_err(|error| HistoryError::Io(error.to_string()))?
            .ok_or(HistoryError::Missing(revision))
    }

    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        let mut after = Revision::new(from.saturating_sub(1), i64::MAX);
        loop {
            let rows = self.step(after, to)?;
            let Some((last, ..)) = rows.last() else { return Ok(()) };
            after = *last;
            for (revision, kind, record) in rows {
                if visit(revision, kind, record).is_break() {
                    return Ok(());
                }
            }
        }
    }
}

impl Backend {
    /// The next rows with `after < revision` and `main <= to`; none at the end. Rows on their way
    /// are looked up first: one that is committed in between is found twice, never missed.
    fn step(&self, after: Revision, to: i64) -> Result<Vec<StoredRow>, HistoryError> {
        let (pending, generation) = {
            let view = self.0.shared.view.read();
            (view.overlay.rows_after(after, to, STEP_ROWS), view.generation.clone())
        };
        let (stored, complete) = generation
            .read(|connection| rows_after(connection, after, to))
            .map_err(|error| HistoryError::Io(error.to_string()))?;
        // What stands behind the last row of an incomplete step waits for the next one.
        let end = if complete { None } else { stored.last().map(|(revision, ..)| *revision) };
        let newest_stored = stored.last().map_or(after, |(revision, ..)| *revision);
        let mut rows = stored;
        let overlapping = pending.iter().any(|(revision, ..)| *revision <= newest_stored);
        rows.extend(
            pending.into_iter().filter(|(revision, ..)| end.is_none_or(|end| *revision <= end)),
        );
        if overlapping {
            rows.sort_by_key(|(revision, ..)| *revision);
            rows.dedup_by_key(|(revision, ..)| *revision);
        }
        Ok(rows)
    }
}

fn load_row(connection: &Connection, revision: Revision) -> rusqlite::Result<Option<Record>> {
    connection
        .prepare_cached("SELECT main, sub, kind, record FROM rev WHERE main = ?1 AND sub = ?2")?
        .query_row(params![revision.main, revision.sub], read_row)
        .optional()
        .map(|row| row.map(|(.., record)| record))
}

/// One step, and whether it reached the end.
fn rows_after(
    connection: &Connection,
    after: Revision,
    to: i64,
) -> rusqlite::Result<(Vec<StoredRow>, bool)> {
    let mut statement = connection.prepare_cached(
        "SELECT main, sub, kind, record FROM rev
         WHERE (main, sub) > (?1, ?2) AND main <= ?3 ORDER BY main, sub",
    )?;
    let mut found = statement.query(params![after.main, after.sub, to])?;
    let mut rows: Vec<StoredRow> = Vec::new();
    let mut bytes = 0;
    while let Some(row) = found.next()? {
        let row = read_row(row)?;
        bytes += row.2.as_bytes().len();
        rows.push(row);
        if rows.len() == STEP_ROWS || bytes >= STEP_BYTES {
            return Ok((rows, false));
        }
    }
    Ok((rows, true))
}

/// Reads main, sub, kind and record; a damaged row is an error, never skipped.
pub(super) fn read_row(row: &Row<'_>) -> rusqlite::Result<StoredRow> {
    let damaged = |column, reason: &str| {
        let reason = Box::from(reason);
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Blob, reason)
    };
    let kind = match row.get(2)? {
        schema::KIND_PUT => RowKind::Put,
        schema::KIND_DELETE => RowKind::Delete,
        _ => return Err(damaged(2, "unknown kind of row")),
    };
    let record = row.get_ref(3)?.as_blob().map_err(|error| damaged(3, &error.to_string()))?;
    let record = Record::from_encoded(record).map_err(|_| damaged(3, "not a record"))?;
    Ok((Revision::new(row.get(0)?, row.get(1)?), kind, record))
}
