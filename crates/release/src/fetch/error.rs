//! Why a fetch failed.

use std::io;
use std::path::{Path, PathBuf};

use crate::{ReleaseError, Sum, SumError};

/// Why a fetch failed. Displays as one line; sources are shown without passwords.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// What was asked for cannot be done, whatever the network does.
    #[error("{0}")]
    Usage(String),
    /// The bytes did not get here.
    #[error("cannot fetch {source_shown}: {why}")]
    Unreachable {
        /// Where from.
        source_shown: String,
        /// The last reason.
        why: String,
    },
    /// The bytes are not the expected ones.
    #[error(
        "{} of {source_shown} differs: expected {expected}, found {found}", expected.function()
    )]
    SumDiffers {
        /// Where from.
        source_shown: String,
        /// What was asked for.
        expected: Sum,
        /// What the bytes have.
        found: Sum,
    },
    /// The bytes are not an archive that is accepted.
    #[error("{0}")]
    Refused(String),
    /// The file system refused.
    #[error("cannot {what} {path}: {error}")]
    Disk {
        /// A verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The directory of releases refused.
    #[error(transparent)]
    Releases(ReleaseError),
}

impl FetchError {
    /// Exit code of `quorate-release`: 2 bad usage, 3 cannot fetch, 4 sum differs, 5 archive
    /// refused, 6 disk (and a directory that another process keeps busy).
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::SumDiffers { .. } => 4,
            Self::Refused(_) => 5,
            Self::Disk { .. } | Self::Releases(_) => 6,
        }
    }

    /// An I/O error at a path of ours, for `map_err`.
    pub(super) fn disk(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Disk { what, path, error }
    }
}

impl From<ReleaseError> for FetchError {
    fn from(error: ReleaseError) -> Self {
        match error {
            ReleaseError::Io { what, path, error } => Self::Disk { what, path, error },
            ReleaseError::NotARelease { .. } => Self::Refused(format!("archive refused: {error}")),
            other => Self::Releases(other),
        }
    }
}

impl From<SumError> for FetchError {
    fn from(error: SumError) -> Self {
        Self::Usage(error.to_string())
    }
}
