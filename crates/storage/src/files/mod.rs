//! The few file operations the log needs, behind a trait so that tests can tear writes, fail syncs
//! and fill the disk.

mod disk;
#[cfg(test)]
pub(crate) mod faulty;

use std::io;
use std::path::Path;
use std::sync::Arc;

pub(crate) use disk::Disk;

/// A directory tree. Names are durable only after [`Fs::sync_dir`].
pub(crate) trait Fs: Send + Sync {
    /// Makes the directory and its parents; fine when it exists.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// Names of the files directly in the directory, in no order.
    fn list(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Makes an empty file, or empties an existing one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Opens an existing file for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in the directory durable.
    fn sync_dir(&self, directory: &Path) -> io::Result<()>;
}

/// An open file, read and written at explicit offsets.
pub(crate) trait File: Send + Sync {
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Makes what was written durable, the length included.
    fn sync(&self) -> io::Result<()>;
    /// Length, bytes.
    fn len(&self) -> io::Result<u64>;
}
