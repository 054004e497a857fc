//! What can go wrong in the directory of releases.

use std::io;
use std::path::{Path, PathBuf};

/// Why an operation on [`Releases`](crate::Releases) failed. Displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// A text that cannot name a release.
    #[error(
        "release id {id:?} is not valid: use 1 to 64 of a-z, 0-9, '-', '_' and '.', starting with a letter or digit"
    )]
    BadId {
        /// What was given.
        id: String,
    },
    /// No release of that name is unpacked here.
    #[error(
        "release {id} is not in {dir}: fetch it first (quorate-release list shows what is there)"
    )]
    NotFound {
        /// The release asked for.
        id: String,
        /// The `releases` folder.
        dir: PathBuf,
    },
    /// Nothing to go back to: only one release ever ran here, or the earlier one was removed.
    #[error("{dir} has no previous release to roll back to")]
    NoPrevious {
        /// The directory.
        dir: PathBuf,
    },
    /// `current` or `previous` is something this crate did not make; it is never overwritten.
    #[error("{path} is not a link to releases/<id>: move it away and try again")]
    ForeignLink {
        /// The link.
        path: PathBuf,
    },
    /// What should become a release has no executable `quorate`, or holds something else than files
    /// and folders.
    #[error("{path} cannot become a release: {why}")]
    NotARelease {
        /// What was given.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another process kept the directory locked for longer than the caller wanted to wait.
    #[error("{dir} is in use by another process for more than {waited_s} s: try again later")]
    Busy {
        /// What is locked.
        dir: PathBuf,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// The file system refused. Nothing that was usable before is lost.
    #[error("cannot {what} {path}: {error}")]
    Io {
        /// A verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
}

impl ReleaseError {
    /// An [`Io`](Self::Io) made from an [`io::Error`], for `map_err`.
    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { what, path, error }
    }
}
