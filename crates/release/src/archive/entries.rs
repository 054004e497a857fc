//! The entries of a tar archive, with the long names of GNU tar and pax put together.
//!
//! The crate `tar` can do that itself, but reads a "long name" of any length into memory first. So
//! it is asked for raw entries, and extensions are read here, with a limit.

use std::io::{self, Read};

use tar::{Archive, Entry, EntryType, PaxExtensions};

use super::path::bad;
use super::{ArchiveError, Limits};
use std::path::Path;

/// Most bytes of one extension header (a long name, a set of pax records).
const EXTENSION_BYTES_MAX: u64 = 64 * 1024;

/// What one entry wants to become.
pub(super) struct Item {
    /// Its path as it stands in the archive.
    pub(super) path: Vec<u8>,
    /// Its kind.
    pub(super) kind: Kind,
    /// Its permission bits.
    pub(super) mode: u32,
}

/// The kinds of entry that are accepted.
pub(super) enum Kind {
    /// A file; the content follows.
    File,
    /// A folder.
    Folder,
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// Another name for a file that came before.
    HardLink(Vec<u8>),
}

/// Extensions that were read and wait for the entry they belong to.
#[derive(Default)]
struct Pending {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

/// Calls `each` for every entry, in order.
pub(super) fn for_each<R: Read>(
    archive: &mut Archive<R>,
    limits: &Limits,
    reading: &impl Fn(io::Error) -> ArchiveError,
    mut each: impl FnMut(Item, &mut dyn Read) -> Result<(), ArchiveError>,
) -> Result<(), ArchiveError> {
    let mut pending = Pending::default();
    let mut count = 0;
    for entry in archive.entries().map_err(reading)?.raw(true) {
        let mut entry = entry.map_err(reading)?;
        count += 1;
        if count > limits.entries_max {
            let why = format!("it has more than {} entries", limits.entries_max);
            return Err(ArchiveError::refused(why));
        }
        if !take_extension(&mut entry, &mut pending, reading)? {
            let item = item(&entry, std::mem::take(&mut pending))?;
            each(item, &mut entry)?;
        }
    }
    Ok(())
}

/// Reads the entry when it is an extension of the next one (or of all: a comment by git).
fn take_extension<R: Read>(
    entry: &mut Entry<'_, R>,
    pending: &mut Pending,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<bool, ArchiveError> {
    match entry.header().entry_type() {
        EntryType::GNULongName => pending.path = Some(long_name(entry, reading)?),
        EntryType::GNULongLink => pending.target = Some(long_name(entry, reading)?),
        EntryType::XHeader => pax(&extension(entry, reading)?, pending)?,
        EntryType::XGlobalHeader => {
            // Names for every entry at once make no sense; only comments are expected here.
            let mut global = Pending::default();
            pax(&extension(entry, reading)?, &mut global)?;
            if global.path.is_some() || global.target.is_some() {
                return Err(ArchiveError::refused("a global header sets paths"));
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn extension<R: Read>(
    entry: &mut Entry<'_, R>,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = Vec::new();
    entry.take(EXTENSION_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(reading)?;
    if bytes.len() as u64 > EXTENSION_BYTES_MAX {
        let why = format!("a header extension is longer than {EXTENSION_BYTES_MAX} bytes");
        return Err(ArchiveError::refused(why));
    }
    Ok(bytes)
}

/// A GNU long name ends in a zero byte.
fn long_name<R: Read>(
    entry: &mut Entry<'_, R>,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<Vec<u8>, ArchiveError> {
    let mut bytes = extension(entry, reading)?;
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

/// Takes the records that name things. A record that changes how long an entry is would make the
/// rest be read wrongly; only files of 8 GiB need it.
fn pax(bytes: &[u8], pending: &mut Pending) -> Result<(), ArchiveError> {
    let broken = |_| ArchiveError::refused("a pax header is broken");
    for record in PaxExtensions::new(bytes) {
        let record = record.map_err(broken)?;
        match record.key_bytes() {
            b"path" => pending.path = Some(record.value_bytes().to_vec()),
            b"linkpath" => pending.target = Some(record.value_bytes().to_vec()),
            b"size" => return Err(ArchiveError::refused("a pax header sets a size")),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(ArchiveError::refused("it has sparse files"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn item<R: Read>(entry: &Entry<'_, R>, pending: Pending) -> Result<Item, ArchiveError> {
    let header = entry.header();
    let path = pending.path.unwrap_or_else(|| header.path_bytes().into_owned());
    let shown = String::from_utf8_lossy(&path).into_owned();
    let refuse = |what: &str| bad(Path::new(&shown), what);
    let target = pending.target.or_else(|| header.link_name_bytes().map(|t| t.into_owned()));
    let target = || target.ok_or_else(|| refuse("is a link to nowhere"));
    let kind = match header.entry_type() {
        // Old archives mark a folder only by a slash at the end of its name.
        EntryType::Regular | EntryType::Continuous if path.ends_with(b"/") => Kind::Folder,
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Folder,
        EntryType::Symlink => Kind::Symlink(target()?),
        EntryType::Link => Kind::HardLink(target()?),
        EntryType::Char | EntryType::Block => return Err(refuse("is a device")),
        EntryType::Fifo => return Err(refuse("is a fifo")),
        EntryType::GNUSparse => return Err(refuse("is a sparse file")),
        other => return Err(refuse(&format!("is of unknown type {:#04x}", other.as_byte()))),
    };
    let mode = header.mode().map_err(|_| refuse("has a broken mode"))?;
    Ok(Item { path, kind, mode })
}
