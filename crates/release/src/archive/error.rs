//! Why an archive was not unpacked.

use std::io;
use std::path::{Path, PathBuf};

/// Why [`unpack`](super::unpack) failed. Displays as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The archive is not what it should be; trying again does not help.
    #[error("archive refused: {0}")]
    Refused(String),
    /// The file system refused.
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

impl ArchiveError {
    /// A refusal.
    pub(super) fn refused(why: impl Into<String>) -> Self {
        Self::Refused(why.into())
    }

    /// An I/O error at a path we write, for `map_err`.
    pub(super) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |error| Self::Io { what, path, error }
    }

    /// An error while reading the archive. The system's own errors have a number; what has none
    /// comes from the decompressor, the tar parser or our limit: the archive is at fault.
    pub(super) fn reading(archive: &Path) -> impl Fn(io::Error) -> Self {
        let path = archive.to_path_buf();
        move |error| match error.kind() {
            _ if error.raw_os_error().is_some() => {
                Self::Io { what: "read", path: path.clone(), error }
            }
            io::ErrorKind::UnexpectedEof => Self::refused("it is cut short"),
            _ => Self::refused(error.to_string()),
        }
    }
}
