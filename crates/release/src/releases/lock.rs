//! One writer at a time.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::Releases;
use crate::ReleaseError;

/// How often a waiting process asks again.
const POLL: Duration = Duration::from_millis(50);

/// An exclusive lock, held until dropped or until the process ends.
///
/// It is a `flock` on the folder itself: no lock file that could be left over or deleted under its
/// holder.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Releases {
    /// Locks the directory for a change; it must exist.
    pub(super) fn lock(&self, wait: Duration) -> Result<Lock, ReleaseError> {
        lock_dir(&self.dir, wait)
    }

    /// Locks out other fetches into this directory, for as long as a transfer takes. Changes such
    /// as [`switch`](Self::switch) are not held up by it. Makes the directory.
    ///
    /// # Errors
    /// [`ReleaseError::Busy`] after `wait`, [`ReleaseError::Io`].
    pub fn lock_fetches(&self, wait: Duration) -> Result<Lock, ReleaseError> {
        self.create_dirs()?;
        lock_dir(&self.releases_dir(), wait)
    }
}

fn lock_dir(dir: &Path, wait: Duration) -> Result<Lock, ReleaseError> {
    let file = File::open(dir).map_err(ReleaseError::io("open", dir))?;
    let deadline = Instant::now() + wait;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(Errno::WOULDBLOCK | Errno::INTR) => {}
            Err(error) => return Err(ReleaseError::io("lock", dir)(error.into())),
        }
        if Instant::now() >= deadline {
            return Err(ReleaseError::Busy { dir: dir.to_owned(), waited_s: wait.as_secs() });
        }
        thread::sleep(POLL);
    }
}
