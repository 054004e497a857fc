//! Receiving a snapshot: chunks into a new database file.

use std::path::PathBuf;

use bytes::{Buf, Bytes};
use rusqlite::Connection;
use store::{Record, Revision};

use super::format::{
    Header, RECORD_ALARM, RECORD_HEADER, RECORD_LEASE, RECORD_MEMBER, RECORD_META, RECORD_ROW,
    RECORD_TRAILER, damaged, open_chunk, take_record,
};
use crate::backend::writer::{insert_alarm, insert_lease, insert_member, insert_row};
use crate::backend::{BackendError, schema};
use crate::position::LogPosition;

/// A database that is being received. Dropped before it is installed, it leaves nothing behind.
pub struct SnapshotWriter {
    path: PathBuf,
    /// Gone once finished.
    connection: Option<Connection>,
    header: Option<Header>,
    next_number: u64,
    records: u64,
    checksum: u32,
    trailer_seen: bool,
    /// The file belongs to the installation now.
    handed_over: bool,
}

/// A complete database, closed and synced, that waits to be put in force.
pub(crate) struct Received {
    pub path: PathBuf,
    pub position: Option<LogPosition>,
    pub membership: Option<Bytes>,
}

impl SnapshotWriter {
    pub(crate) fn create(path: PathBuf) -> Result<Self, BackendError> {
        let connection = schema::create(&path)
            .and_then(|connection| connection.execute_batch("BEGIN").map(|()| connection))
            .map_err(|error| BackendError::sqlite("making", &path, &error))?;
        Ok(Self {
            path,
            connection: Some(connection),
            header: None,
            next_number: 0,
            records: 0,
            checksum: 0,
            trailer_seen: false,
            handed_over: false,
        })
    }

    /// Number of the chunk that is due.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Where in the log the snapshot stands; known after the first chunk.
    pub fn position(&self) -> Option<LogPosition> {
        self.header.as_ref()?.position
    }

    /// The membership at that position; known after the first chunk.
    pub fn membership(&self) -> Option<Bytes> {
        self.header.as_ref()?.membership.clone()
    }

    /// Takes the next chunk. Blocks on writes.
    ///
    /// # Errors
    /// When the chunk is damaged or not the one due, which changes nothing: send the right one.
    /// When a record in it makes no sense or the disk refuses: give this snapshot up.
    pub fn write(&mut self, chunk: &[u8]) -> Result<(), BackendError> {
        let mut body = open_chunk(chunk, self.next_number)?;
        while !body.is_empty() {
            let whole = body;
            let (kind, payload, length) = take_record(&mut body)?;
            self.take(kind, payload)?;
            if kind != RECORD_TRAILER {
                self.checksum = crc32c::crc32c_append(self.checksum, &whole[..length]);
                self.records += 1;
            }
        }
        self.next_number += 1;
        self.commit_some()
    }

    /// Ends the transaction with every chunk: the memory it takes stays bounded.
    fn commit_some(&self) -> Result<(), BackendError> {
        self.run(|connection| connection.execute_batch("COMMIT; BEGIN"))
    }

    fn run<R>(
        &self,
        run: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, BackendError> {
        let connection = self.connection.as_ref().ok_or_else(|| damaged("already finished"))?;
        run(connection).map_err(|error| BackendError::sqlite("writing", &self.path, &error))
    }

    fn take(&mut self, kind: u8, mut payload: &[u8]) -> Result<(), BackendError> {
        if self.trailer_seen || (self.header.is_none()) != (kind == RECORD_HEADER) {
            return Err(damaged("records are out of order"));
        }
        let fixed = match kind {
            RECORD_META | RECORD_LEASE => 16,
            RECORD_ALARM | RECORD_TRAILER => 12,
            RECORD_MEMBER => 8,
            RECORD_ROW => 17,
            _ => 0,
        };
        if payload.len() < fixed {
            return Err(damaged("a record is too short"));
        }
        match kind {
            RECORD_HEADER => self.take_header(Header::decode(payload)?),
            RECORD_META => self.take_meta(payload),
            RECORD_LEASE => {
                let (id, ttl_s) = (payload.get_i64_le(), payload.get_i64_le());
                self.run(|connection| insert_lease(connection, id, ttl_s))
            }
            RECORD_ALARM => {
                let (member, kind) = (payload.get_u64_le(), payload.get_i32_le());
                self.run(|connection| insert_alarm(connection, member, kind))
            }
            RECORD_MEMBER => {
                let id = payload.get_u64_le();
                self.run(|connection| insert_member(connection, id, payload))
            }
            RECORD_ROW => {
                let revision = Revision::new(payload.get_i64_le(), payload.get_i64_le());
                let kind = i64::from(payload.get_u8());
                Record::from_encoded(payload).map_err(|error| damaged(error.to_string()))?;
                self.run(|connection| insert_row(connection, revision, kind, payload))
            }
            RECORD_TRAILER => self.take_trailer(payload),
            other => Err(damaged(format!("record kind {other} is unknown; upgrade this member"))),
        }
    }

    fn take_header(&mut self, header: Header) -> Result<(), BackendError> {
        if let Some(position) = header.position {
            self.run(|connection| {
                schema::set_meta(connection, schema::META_POSITION, position.to_bytes())
            })?;
        }
        if let Some(membership) = &header.membership {
            self.run(|connection| {
                schema::set_meta(connection, schema::META_MEMBERSHIP, &membership[..])
            })?;
        }
        self.header = Some(header);
        Ok(())
    }

    fn take_meta(&self, mut payload: &[u8]) -> Result<(), BackendError> {
        let (compacted, current) = (payload.get_i64_le(), payload.get_i64_le());
        let version =
            std::str::from_utf8(payload).map_err(|_| damaged("the cluster version is not text"))?;
        self.run(|connection| {
            if compacted > 0 {
                schema::set_meta(connection, schema::META_COMPACTED, compacted)?;
            }
            if current > 0 {
                schema::set_meta(connection, schema::META_CURRENT, current)?;
            }
            if !version.is_empty() {
                schema::set_meta(connection, schema::META_CLUSTER_VERSION, version)?;
            }
            Ok(())
        })
    }

    fn take_trailer(&mut self, mut payload: &[u8]) -> Result<(), BackendError> {
        let (records, checksum) = (payload.get_u64_le(), payload.get_u32_le());
        if (records, checksum) != (self.records, self.checksum) {
            return Err(damaged(format!(
                "{} records arrived of {records}, or some were changed on the way",
                self.records
            )));
        }
        self.trailer_seen = true;
        Ok(())
    }

    /// Checks that the stream is complete, closes the file and syncs it.
    ///
    /// # Errors
    /// When the trailer has not come.
    pub fn finish(&mut self) -> Result<(), BackendError> {
        if !self.trailer_seen {
            return Err(damaged("the stream is not complete"));
        }
        self.run(|connection| connection.execute_batch("COMMIT"))?;
        let connection = self.connection.take().expect("used just before");
        connection
            .close()
            .map_err(|(_, error)| BackendError::sqlite("closing", &self.path, &error))?;
        std::fs::File::open(&self.path)
            .and_then(|file| file.sync_all())
            .map_err(|error| BackendError::io("syncing", &self.path, error))
    }

    pub(crate) fn into_received(mut self) -> Result<Received, BackendError> {
        if self.connection.is_some() {
            return Err(damaged("it was not finished"));
        }
        self.handed_over = true;
        let header = self.header.take().unwrap_or_default();
        Ok(Received {
            path: self.path.clone(),
            position: header.position,
            membership: header.membership,
        })
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        if !self.handed_over {
            self.connection = None;
            // What stays behind is removed when the database is opened the next time.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
