//! What can go wrong with the log.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

/// The log cannot be opened or read.
#[derive(Debug, Error)]
pub enum LogError {
    /// The operating system refused.
    #[error("{doing} {}: {source}", path.display())]
    Io {
        /// What was tried, "reading" for instance.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A record that had been synced is damaged or gone. Nothing was changed on disk.
    #[error(
        "raft log is damaged: {} at byte {offset}: {reason}; the files were left untouched: replace \
         this member (remove it, then add it again with an empty data directory)",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in it, bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// The directory was expected to hold a log and holds none.
    #[error(
        "raft log is missing from {}: this member had one, so its disk lost data; replace this \
         member (remove it, then add it again with an empty data directory)",
        directory.display()
    )]
    Missing {
        /// Where it should be.
        directory: PathBuf,
    },
    /// Written by a newer release.
    #[error("{} has log format {version}, newer than this release reads; upgrade this member", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// Its format version.
        version: u32,
    },
    /// An earlier write or sync failed; nothing was written since.
    #[error("raft log stopped after a failed write: {0}")]
    Poisoned(String),
}

impl LogError {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { doing, path: path.into(), source }
    }
}
