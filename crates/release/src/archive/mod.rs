//! What is unpacked, and what is refused.
//!
//! Accepted: a tar archive, gzip-compressed or not, with an executable file `quorate` at its top or
//! in its only top folder (which is then dropped); or that executable alone, an ELF file. Of a tar
//! archive come files, folders and links that stay inside. Everything is written by our own code
//! from the raw entries, because what protects the machine should be readable in one place; the crate
//! `tar` parses headers.

mod entries;
mod error;
mod executable;
mod format;
mod limit;
mod path;
#[cfg(test)]
mod tests;
mod unpack;

pub use error::ArchiveError;
pub use unpack::unpack;

/// What an archive may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes after decompression, everything counted (headers and padding too).
    pub unpacked_bytes_max: u64,
    /// Most entries: files, folders and links.
    pub entries_max: usize,
    /// Longest path of an entry, and longest target of a link, in bytes.
    pub path_bytes_max: usize,
    /// Deepest nesting of folders.
    pub depth_max: usize,
}

/// Twenty times what a release takes today: room to grow, and no bomb fills a disk.
pub const UNPACKED_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// A release is a handful of files.
pub const ENTRIES_MAX: usize = 1_000;

/// Well below the system's own limit of 4096, so that the place it is unpacked to fits too.
pub const PATH_BYTES_MAX: usize = 512;

/// Folders below folders.
pub const DEPTH_MAX: usize = 8;

impl Default for Limits {
    fn default() -> Self {
        Self {
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            entries_max: ENTRIES_MAX,
            path_bytes_max: PATH_BYTES_MAX,
            depth_max: DEPTH_MAX,
        }
    }
}
