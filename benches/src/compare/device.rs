//! What a block device was told to write.
//!
//! A process' own figure (`write_bytes` of `/proc/<pid>/io`) counts every page of a large folio of
//! the page cache when a few bytes of it change, and so up to forty times what goes to the disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};

/// Bytes of a sector, whatever the device's own are (Linux, Documentation/block/stat).
const SECTOR_BYTES: u64 = 512;

/// Place of the sectors written in a device's stat file.
const SECTORS_WRITTEN: usize = 6;

/// Bytes the device below `path` has written since the machine started, after everything in memory
/// has gone there; `None` where no block device is behind the path.
///
/// # Errors
/// When the path is gone, or the device's counters are not Linux's.
pub fn written_bytes(path: &Path) -> Result<Option<u64>> {
    rustix::fs::sync();
    let device = fs::metadata(path)?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let Ok(stat) = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")) else {
        return Ok(None);
    };
    let sectors = stat.split_ascii_whitespace().nth(SECTORS_WRITTEN);
    let sectors: u64 = sectors.context("the stat of the device is short")?.parse()?;
    Ok(Some(sectors * SECTOR_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_written_is_counted() {
        let directory = tempfile::tempdir().unwrap();
        let Some(before) = written_bytes(directory.path()).unwrap() else { return };
        fs::write(directory.path().join("a"), vec![7; 1 << 20]).unwrap();
        let after = written_bytes(directory.path()).unwrap().unwrap();
        assert!(after >= before + (1 << 20), "{before} to {after}");
    }
}
