//! Producing a snapshot: chunks out of one read transaction, made only when asked for.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use rusqlite::{Connection, params};
use store::Revision;

use super::format::{
    CHUNK_HEADER_BYTES, Header, RECORD_ALARM, RECORD_HEADER, RECORD_LEASE, RECORD_MEMBER,
    RECORD_META, RECORD_ROW, RECORD_TRAILER, finish_chunk, put_record, start_chunk,
};
use crate::backend::{BackendError, schema};
use crate::position::LogPosition;

/// A frozen view of the state as a stream of chunks. While it exists, the write-ahead file of the
/// database only grows: drop it soon.
pub struct SnapshotReader {
    connection: Connection,
    path: PathBuf,
    header: Header,
    cursor: Cursor,
    /// Where each chunk that was handed out began, to hand it out again.
    starts: Vec<Cursor>,
}

/// Where the next chunk begins.
#[derive(Clone, Copy)]
struct Cursor {
    stage: Stage,
    /// Records before it.
    records: u64,
    /// CRC32C of the records before it.
    checksum: u32,
}

#[derive(Clone, Copy)]
enum Stage {
    Small,
    Leases { after: i64 },
    Rows { after: Revision },
    Trailer,
    Done,
}

impl SnapshotReader {
    pub(crate) fn open(path: &Path) -> Result<Self, BackendError> {
        let connection = schema::open_reader(path)?;
        let header =
            freeze(&connection).map_err(|error| BackendError::sqlite("reading", path, &error))?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            header,
            cursor: Cursor { stage: Stage::Small, records: 0, checksum: 0 },
            starts: Vec::new(),
        })
    }

    /// The applied position the snapshot holds; `None` when nothing had been applied.
    pub fn position(&self) -> Option<LogPosition> {
        self.header.position
    }

    /// The membership at that position.
    pub fn membership(&self) -> Option<Bytes> {
        self.header.membership.clone()
    }

    /// Number of the chunk that comes next; the first is 0.
    pub fn next_number(&self) -> u64 {
        self.starts.len() as u64
    }

    /// The next chunk: records until they take about `bytes_max`, at least one; `None` at the end.
    /// Blocks on reads.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn next_chunk(&mut self, bytes_max: usize) -> Result<Option<Bytes>, BackendError> {
        if matches!(self.cursor.stage, Stage::Done) {
            return Ok(None);
        }
        let start = self.cursor;
        let mut chunk = start_chunk(bytes_max);
        while chunk.len() < CHUNK_HEADER_BYTES + bytes_max
            && !matches!(self.cursor.stage, Stage::Done)
        {
            if let Err(error) = self.fill(&mut chunk, bytes_max) {
                self.cursor = start;
                return Err(BackendError::sqlite("reading", &self.path, &error));
            }
        }
        finish_chunk(&mut chunk, self.next_number());
        self.starts.push(start);
        Ok(Some(chunk.into()))
    }

    /// Goes back so that chunk `number` comes next, as often as a connection breaks; with the same
    /// `bytes_max` it is the same chunk. Returns false when it has not been handed out yet.
    pub fn rewind(&mut self, number: u64) -> bool {
        let start = usize::try_from(number).ok().and_then(|at| self.starts.get(at).copied());
        let Some(start) = start else { return number == self.next_number() };
        self.cursor = start;
        self.starts.truncate(number as usize);
        true
    }

    fn fill(&mut self, chunk: &mut Vec<u8>, bytes_max: usize) -> rusqlite::Result<()> {
        let begin = chunk.len();
        let end = CHUNK_HEADER_BYTES + bytes_max;
        let (stage, records) = match self.cursor.stage {
            Stage::Small => self.put_small(chunk)?,
            Stage::Leases { after } => put_leases(&self.connection, after, chunk, end)?,
            Stage::Rows { after } => put_rows(&self.connection, after, chunk, end)?,
            Stage::Trailer => {
                let total = self.cursor.checksum.to_le_bytes();
                put_record(chunk, RECORD_TRAILER, &[&self.cursor.records.to_le_bytes(), &total]);
                (Stage::Done, 0)
            }
            Stage::Done => (Stage::Done, 0),
        };
        self.cursor.checksum = crc32c::crc32c_append(self.cursor.checksum, &chunk[begin..]);
        self.cursor.records += records;
        self.cursor.stage = stage;
        Ok(())
    }

    /// What is small and comes first: header, meta, alarms, members.
    fn put_small(&self, chunk: &mut Vec<u8>) -> rusqlite::Result<(Stage, u64)> {
        put_record(chunk, RECORD_HEADER, &[&self.header.encode()]);
        let number = |name| Ok(schema::meta::<i64>(&self.connection, name)?.unwrap_or(0));
        let compacted: rusqlite::Result<i64> = number(schema::META_COMPACTED);
        let current: rusqlite::Result<i64> = number(schema::META_CURRENT);
        let version: Option<String> = schema::meta(&self.connection, schema::META_CLUSTER_VERSION)?;
        let version = version.unwrap_or_default();
        let parts: [&[u8]; 3] =
            [&compacted?.to_le_bytes(), &current?.to_le_bytes(), version.as_bytes()];
        put_record(chunk, RECORD_META, &parts);
        let mut records = 2;
        let mut statement = self.connection.prepare_cached("SELECT member, kind FROM alarm")?;
        let mut alarms = statement.query([])?;
        while let Some(alarm) = alarms.next()? {
            let (member, kind) = (alarm.get::<_, i64>(0)?, alarm.get::<_, i32>(1)?);
            put_record(chunk, RECORD_ALARM, &[&member.to_le_bytes(), &kind.to_le_bytes()]);
            records += 1;
        }
        let mut statement = self.connection.prepare_cached("SELECT id, attributes FROM member")?;
        let mut members = statement.query([])?;
        while let Some(member) = members.next()? {
            let id: i64 = member.get(0)?;
            put_record(chunk, RECORD_MEMBER, &[&id.to_le_bytes(), member.get_ref(1)?.as_blob()?]);
            records += 1;
        }
        Ok((Stage::Leases { after: i64::MIN }, records))
    }
}

/// Begins the read transaction, which the first read fixes in time.
fn freeze(connection: &Connection) -> rusqlite::Result<Header> {
    connection.execute_batch("BEGIN")?;
    let position = schema::position(connection)?;
    let membership: Option<Vec<u8>> = schema::meta(connection, schema::META_MEMBERSHIP)?;
    Ok(Header { position, membership: membership.map(Bytes::from) })
}

fn put_leases(
    connection: &Connection,
    mut after: i64,
    chunk: &mut Vec<u8>,
    end: usize,
) -> rusqlite::Result<(Stage, u64)> {
    let mut statement =
        connection.prepare_cached("SELECT id, ttl_s FROM lease WHERE id > ?1 ORDER BY id")?;
    let mut leases = statement.query([after])?;
    let mut records = 0;
    while chunk.len() < end {
        let Some(lease) = leases.next()? else {
            return Ok((Stage::Rows { after: Revision::new(i64::MIN, 0) }, records));
        };
        after = lease.get(0)?;
        let ttl_s: i64 = lease.get(1)?;
        put_record(chunk, RECORD_LEASE, &[&after.to_le_bytes(), &ttl_s.to_le_bytes()]);
        records += 1;
    }
    Ok((Stage::Leases { after }, records))
}

fn put_rows(
    connection: &Connection,
    mut after: Revision,
    chunk: &mut Vec<u8>,
    end: usize,
) -> rusqlite::Result<(Stage, u64)> {
    let mut statement = connection.prepare_cached(
        "SELECT main, sub, kind, record FROM rev WHERE (main, sub) > (?1, ?2) ORDER BY main, sub",
    )?;
    let mut rows = statement.query(params![after.main, after.sub])?;
    let mut records = 0;
    while chunk.len() < end {
        let Some(row) = rows.next()? else { return Ok((Stage::Trailer, records)) };
        after = Revision::new(row.get(0)?, row.get(1)?);
        let kind = [row.get::<_, u8>(2)?];
        let record = row.get_ref(3)?.as_blob()?;
        let parts: [&[u8]; 4] =
            [&after.main.to_le_bytes(), &after.sub.to_le_bytes(), &kind, record];
        put_record(chunk, RECORD_ROW, &parts);
        records += 1;
    }
    Ok((Stage::Rows { after }, records))
}
