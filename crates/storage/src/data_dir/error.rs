//! Why a data directory cannot be used, each in one line that says what to do.

use std::io;
use std::path::{Path, PathBuf};

use store::MemberId;
use thiserror::Error;

use super::identity::Incarnation;
use crate::log::LogError;
use crate::position::LogPosition;

/// The data directory cannot be used.
#[derive(Debug, Error)]
pub enum DataDirError {
    /// The operating system refused.
    #[error("{doing} {}: {reason}", path.display())]
    Io {
        /// What was tried, "reading" for instance.
        doing: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A running process has it locked.
    #[error("data directory {} is in use by another process; stop that one first", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// It holds something that is not ours.
    #[error("data directory {} {what}", path.display())]
    Foreign {
        /// The directory.
        path: PathBuf,
        /// What it holds and what to do.
        what: String,
    },
    /// The identity or the pins are damaged.
    #[error(
        "{} is damaged: {reason}; it was left untouched: restore this file, or replace this member",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The identity was written by a newer release.
    #[error("{} has a format newer than this release reads; upgrade this member", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// An identity exists and must not be replaced.
    #[error("data directory {} belongs to a member already", path.display())]
    HasIdentity {
        /// The directory.
        path: PathBuf,
    },
    /// The log was to be opened before the identity was written.
    #[error("data directory {} belongs to no member yet", path.display())]
    NoIdentity {
        /// The directory.
        path: PathBuf,
    },
    /// The database lacks what the log has given up.
    #[error(
        "database in {} ends at {} but the log begins after {purged}: the database was lost or \
         replaced by an older copy; replace this member",
        path.display(),
        held.map_or("nothing".to_owned(), |held| held.to_string())
    )]
    DatabaseBehind {
        /// The directory of the database.
        path: PathBuf,
        /// What the log has given up.
        purged: LogPosition,
        /// What the database holds.
        held: Option<LogPosition>,
    },
    /// The log cannot be opened.
    #[error(transparent)]
    Log(LogError),
}

impl DataDirError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), reason: error.to_string() }
    }
}

/// A peer's incarnation is not accepted.
#[derive(Debug, Error)]
pub enum PinMismatch {
    /// Another one is pinned: the member's disk was lost or exchanged.
    #[error(
        "member {member} answers from a different data directory than before (pinned {pinned}, \
         offered {offered}); remove that member and add it again"
    )]
    Different {
        /// The peer.
        member: MemberId,
        /// What was met first.
        pinned: Incarnation,
        /// What it says now.
        offered: Incarnation,
    },
    /// The pin could not be made durable, so it does not count.
    #[error(transparent)]
    NotSaved(#[from] DataDirError),
}
