//! The file that bytes arrive in.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::FetchError;
use crate::Lock;

/// `DIR/.fetch.part`, removed on drop. Exists only under the lock on fetches, so one name does.
pub(super) struct Part {
    path: PathBuf,
    /// Dropped after the file is removed, so that nobody else's is.
    _lock: Lock,
}

impl Part {
    /// Makes an empty one; what an earlier fetch left when it was killed goes away here.
    pub(super) fn create(dir: &Path, lock: Lock) -> Result<Self, FetchError> {
        let path = dir.join(".fetch.part");
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(FetchError::disk("remove", &path)(error));
            }
            _ => {}
        }
        File::create_new(&path).map_err(FetchError::disk("create", &path))?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Nobody to tell; the next fetch removes it.
        let _ = fs::remove_file(&self.path);
    }
}
