//! What can go wrong with the database.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// The database cannot be opened, read or written.
#[derive(Clone, Debug, Error)]
pub enum BackendError {
    /// SQLite or the operating system refused.
    #[error("{doing} {}: {reason}", path.display())]
    Io {
        /// What was tried, "opening" for instance.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The disk has no room; what was asked for is kept and tried again.
    #[error("no room on the disk for {}", path.display())]
    DiskFull {
        /// The file that could not grow.
        path: PathBuf,
    },
    /// The file is not a database of this product, or damaged. It was left untouched.
    #[error("{} is not usable: {reason}; replace this member", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer release.
    #[error("{} has database format {version}, newer than this release reads; upgrade this member", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format version.
        version: i64,
    },
    /// A snapshot stream is damaged, out of order or incomplete.
    #[error("snapshot: {0}")]
    Snapshot(String),
    /// The backend was closed, or stopped after an error that was reported before.
    #[error("the database is closed")]
    Closed,
}

impl BackendError {
    pub(crate) fn io(doing: &'static str, path: &Path, reason: impl ToString) -> Self {
        Self::Io { doing, path: path.to_owned(), reason: reason.to_string() }
    }

    pub(crate) fn sqlite(doing: &'static str, path: &Path, error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull { path: path.to_owned() },
            Some(rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase) => {
                Self::Corrupt { path: path.to_owned(), reason: error.to_string() }
            }
            _ => Self::io(doing, path, error),
        }
    }
}
