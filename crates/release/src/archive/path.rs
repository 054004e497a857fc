//! Where an entry may go, and where a link may point.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::{ArchiveError, Limits};

/// The place of an entry below the staging folder: plain names only. `./` in front is dropped; the
/// archive's own root (`./`) gives an empty path.
pub(super) fn entry_path(raw: &[u8], limits: &Limits) -> Result<PathBuf, ArchiveError> {
    let path = checked(raw, limits)?;
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::CurDir => {}
            Component::ParentDir => return Err(bad(path, "has '..' in its path")),
            Component::RootDir | Component::Prefix(_) => {
                return Err(bad(path, "has an absolute path"));
            }
        }
    }
    if plain.components().count() > limits.depth_max {
        return Err(bad(path, &format!("is more than {} levels deep", limits.depth_max)));
    }
    Ok(plain)
}

/// How far a symbolic link climbs: the number of `..` it starts with. Refused when the link leaves
/// the archive.
///
/// `..` is only taken in front. The folders above a link are real folders (the unpacker sees to
/// it), so climbing them means what it says; after a name, which may itself be a link, `..` could
/// lead anywhere.
pub(super) fn link_climb(link: &Path, raw: &[u8], limits: &Limits) -> Result<usize, ArchiveError> {
    let target = checked(raw, limits)?;
    let (mut climb, mut has_name) = (0, false);
    for component in target.components() {
        match component {
            Component::Normal(_) => has_name = true,
            Component::CurDir => {}
            Component::ParentDir if has_name => {
                return Err(bad(link, "is a link with '..' inside its target"));
            }
            Component::ParentDir => climb += 1,
            Component::RootDir | Component::Prefix(_) => {
                return Err(bad(link, "is a link to an absolute path"));
            }
        }
    }
    if climb > levels_above(link) {
        return Err(bad(link, "is a link that points outside the archive"));
    }
    Ok(climb)
}

/// How many folders of the archive a path lies in.
pub(super) fn levels_above(path: &Path) -> usize {
    path.components().count().saturating_sub(1)
}

/// A refusal that names an entry.
pub(super) fn bad(path: &Path, what: &str) -> ArchiveError {
    ArchiveError::refused(format!("{:?} {what}", path.to_string_lossy()))
}

fn checked<'a>(raw: &'a [u8], limits: &Limits) -> Result<&'a Path, ArchiveError> {
    let path = Path::new(OsStr::from_bytes(raw));
    if raw.len() > limits.path_bytes_max {
        let start = String::from_utf8_lossy(&raw[..40.min(raw.len())]);
        return Err(ArchiveError::refused(format!(
            "a path starting with {start:?} is longer than {} bytes",
            limits.path_bytes_max
        )));
    }
    if raw.is_empty() || raw.contains(&0) {
        return Err(ArchiveError::refused("an entry has an empty or broken path"));
    }
    Ok(path)
}
