//! Small text files that end with a checksum line and are replaced as a whole.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use super::DataDirError;

/// A file that is being written.
pub(super) const UNFINISHED_SUFFIX: &str = ".new";

const CHECKSUM: &str = "checksum ";

/// Replaces the file by `text` and its checksum: durable when this returns, and old or new as a
/// whole whenever the power goes.
pub(super) fn write(path: &Path, text: &str) -> Result<(), DataDirError> {
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(UNFINISHED_SUFFIX);
    let unfinished = Path::new(&unfinished);
    let sealed = format!("{text}{CHECKSUM}{:08x}\n", crc32c::crc32c(text.as_bytes()));
    write_synced(unfinished, sealed.as_bytes())
        .and_then(|()| fs::rename(unfinished, path))
        .map_err(|error| DataDirError::io("writing", path, &error))?;
    sync_directory(path.parent().expect("the file is in a directory"))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The text without its checksum; `None` when there is no file.
pub(super) fn read(path: &Path) -> Result<Option<String>, DataDirError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DataDirError::io("reading", path, &error)),
    };
    unseal(&bytes).map(Some).ok_or_else(|| DataDirError::Damaged {
        path: path.to_owned(),
        reason: "its checksum does not match".to_owned(),
    })
}

fn unseal(bytes: &[u8]) -> Option<String> {
    let sealed = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let (text, checksum) = sealed.rsplit_once(CHECKSUM)?;
    let expected = u32::from_str_radix(checksum, 16).ok()?;
    (crc32c::crc32c(text.as_bytes()) == expected && text.ends_with('\n')).then(|| text.to_owned())
}

/// Makes names in the directory durable.
pub(super) fn sync_directory(path: &Path) -> Result<(), DataDirError> {
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| DataDirError::io("syncing", path, &error))
}
