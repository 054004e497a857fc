//! Files that carry the values of a secret to a tool and are gone afterwards.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use super::SecretContent;

/// How many names to try for the directory; somebody else has to hold every one of them to lose.
const NAMES_MAX: u32 = 16;

/// A directory only its owner can enter, with one file per key; removed on drop.
///
/// The tool passes the paths to the Juju agent, which reads them: so they are absolute, and a pipe
/// or a descriptor of ours would not do.
pub(super) struct SecretFiles {
    directory: PathBuf,
}

impl SecretFiles {
    pub(super) fn write(scratch: &Path, content: &SecretContent) -> io::Result<Self> {
        let files = Self { directory: make_directory(&std::path::absolute(scratch)?)? };
        for (key, value) in content.iter() {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create_new(true).mode(0o600).open(files.path(key))?;
            file.write_all(value.as_bytes())?;
        }
        Ok(files)
    }

    /// The file of a key, whose characters [`SecretContent`] has checked.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }
}

impl Drop for SecretFiles {
    fn drop(&mut self) {
        // Nothing better to do than to leave what cannot be removed: it is the owner's only.
        drop(fs::remove_dir_all(&self.directory));
    }
}

/// The name need not be secret: creating fails where anything is, a link included.
fn make_directory(scratch: &Path) -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut tries = 0;
    loop {
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let name = format!("juju-secret-{}-{count}-{}", std::process::id(), since.as_nanos());
        let directory = scratch.join(name);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && tries < NAMES_MAX => {
                tries += 1;
            }
            Err(error) => return Err(error),
        }
    }
}
