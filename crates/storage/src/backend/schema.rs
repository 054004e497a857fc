//! The tables, as docs/formats/database.md draws them, and how a connection is set up.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::error::BackendError;
use crate::position::{LogPosition, POSITION_BYTES};

/// `application_id` of our database files: "QRTE".
const APPLICATION_ID: i64 = 0x5152_5445;
/// `user_version`: the format this release writes, and the newest it reads.
pub(crate) const FORMAT_VERSION: i64 = 1;

/// Page cache of the writing connection, KiB.
const WRITER_CACHE_KIB: i64 = 4 << 10;
/// Page cache of one reading connection, KiB.
const READER_CACHE_KIB: i64 = 2 << 10;
/// Statements a connection keeps prepared.
const STATEMENTS_MAX: usize = 32;
/// Only our own connections lock the file, and only for moments.
const BUSY_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE rev(
        main INTEGER NOT NULL,
        sub INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        record BLOB NOT NULL,
        PRIMARY KEY(main, sub)
    ) WITHOUT ROWID;
    CREATE TABLE lease(id INTEGER PRIMARY KEY, ttl_s INTEGER NOT NULL);
    CREATE TABLE alarm(
        member INTEGER NOT NULL,
        kind INTEGER NOT NULL,
        PRIMARY KEY(member, kind)
    ) WITHOUT ROWID;
    CREATE TABLE member(id INTEGER PRIMARY KEY, attributes BLOB NOT NULL);
    CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
";

/// Values of `rev.kind`.
pub(crate) const KIND_PUT: i64 = 1;
pub(crate) const KIND_DELETE: i64 = 2;

/// Names in `meta`.
pub(crate) const META_POSITION: &str = "position";
pub(crate) const META_MEMBERSHIP: &str = "membership";
pub(crate) const META_COMPACTED: &str = "compacted_revision";
pub(crate) const META_CURRENT: &str = "current_revision";
pub(crate) const META_CLUSTER_VERSION: &str = "cluster_version";

fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "mmap_size", 0)?;
    Ok(connection)
}

/// Makes a database file with empty tables, for which nothing is synced until its maker does so.
pub(crate) fn create(path: &Path) -> rusqlite::Result<Connection> {
    let connection =
        connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
    // These three have to stand in the file before the first table.
    connection.pragma_update(None, "page_size", 4096)?;
    connection.pragma_update(None, "auto_vacuum", "incremental")?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    connection.pragma_update(None, "journal_mode", "memory")?;
    connection.pragma_update(None, "synchronous", "off")?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    connection.execute_batch(TABLES)?;
    connection.pragma_update(None, "user_version", FORMAT_VERSION)?;
    Ok(connection)
}

/// Opens the connection that writes.
///
/// # Errors
/// When the file is not ours, damaged or newer.
pub(crate) fn open_writer(path: &Path) -> Result<Connection, BackendError> {
    let at = |error: rusqlite::Error| BackendError::sqlite("opening", path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(at)?;
    let pragma = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    if pragma("application_id").map_err(at)? != APPLICATION_ID {
        let reason = "it was not made by this product".to_owned();
        return Err(BackendError::Corrupt { path: path.to_owned(), reason });
    }
    let version = pragma("user_version").map_err(at)?;
    if version != FORMAT_VERSION {
        return Err(BackendError::Version { path: path.to_owned(), version });
    }
    connection.pragma_update(None, "journal_mode", "wal").map_err(at)?;
    // Commits are not synced one by one; the writer syncs the write-ahead file itself before it
    // calls anything durable, and a checkpoint syncs on its own.
    connection.pragma_update(None, "synchronous", "normal").map_err(at)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0).map_err(at)?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(at)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(crate) fn open_reader(path: &Path) -> Result<Connection, BackendError> {
    let at = |error: rusqlite::Error| BackendError::sqlite("opening", path, &error);
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(at)?;
    connection.pragma_update(None, "query_only", true).map_err(at)?;
    connection.pragma_update(None, "cache_size", -READER_CACHE_KIB).map_err(at)?;
    Ok(connection)
}

/// One value of `meta`.
pub(crate) fn meta<T: rusqlite::types::FromSql>(
    connection: &Connection,
    name: &str,
) -> rusqlite::Result<Option<T>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Sets one value of `meta`.
pub(crate) fn set_meta(
    connection: &Connection,
    name: &str,
    value: impl rusqlite::ToSql,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)")?
        .execute(rusqlite::params![name, value])?;
    Ok(())
}

/// The applied position; `None` in a database to which nothing was applied.
pub(crate) fn position(connection: &Connection) -> rusqlite::Result<Option<LogPosition>> {
    let bytes: Option<[u8; POSITION_BYTES]> = meta(connection, META_POSITION)?;
    Ok(bytes.map(|bytes| LogPosition::from_bytes(&bytes)))
}
