//! The connections that read, and the files they belong to.

use std::fs::File;
use std::path::{Path, PathBuf};

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;

use super::error::BackendError;
use super::schema;

/// Reads that run at the same time; more wait their turn.
const READERS: usize = 2;

/// One database file and its readers. A snapshot that is installed is a new generation; readers of
/// the old one finish on the old file, whose names are never given to the new one: SQLite removes
/// a write-ahead file by name when the last connection goes.
pub(super) struct Generation {
    pub number: u64,
    pub path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    returned: Condvar,
}

impl Generation {
    /// Opens the readers; the file is in WAL mode already.
    pub fn open(number: u64, path: &Path) -> Result<Self, BackendError> {
        let idle = (0..READERS).map(|_| schema::open_reader(path)).collect::<Result<_, _>>()?;
        Ok(Self { number, path: path.to_owned(), idle: Mutex::new(idle), returned: Condvar::new() })
    }

    /// Runs a read that is short: while it runs, the write-ahead file cannot be reused.
    pub fn read<R>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, BackendError> {
        let connection = self.take();
        let outcome = read(&connection);
        self.idle.lock().push(connection);
        self.returned.notify_one();
        outcome.map_err(|error| BackendError::sqlite("reading", &self.path, &error))
    }

    fn take(&self) -> Connection {
        let mut idle = self.idle.lock();
        loop {
            if let Some(connection) = idle.pop() {
                return connection;
            }
            self.returned.wait(&mut idle);
        }
    }

    /// Bytes of the database file and its write-ahead file.
    pub fn size_bytes(&self) -> u64 {
        let length = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
        length(&self.path) + length(&wal_path(&self.path))
    }
}

/// The write-ahead file beside a database file.
pub(super) fn wal_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    name.into()
}

/// Makes creations, renames and removals in the directory durable.
pub(super) fn sync_directory(directory: &Path) -> Result<(), BackendError> {
    File::open(directory)
        .and_then(|file| file.sync_all())
        .map_err(|error| BackendError::io("syncing", directory, error))
}
