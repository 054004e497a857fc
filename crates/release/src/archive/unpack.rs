//! From a verified file to files in a staging folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use tar::Archive;

use super::entries::{self, Item, Kind};
use super::format::{self, Format};
use super::limit::Limited;
use super::path::{bad, entry_path, levels_above, link_climb};
use super::{ArchiveError, Limits, executable};
use crate::EXECUTABLE;
use crate::releases::{create_dir, set_file_mode};

/// Bits of a mode that let a program run as somebody else.
const MODE_SETID: u32 = 0o6000;

/// Bytes copied at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// Unpacks the file `archive` into the empty folder `staging` and answers with the folder that has
/// `quorate` in it: `staging`, or the archive's only top folder.
///
/// Nothing is ever written outside `staging`. What is written is not synced and, after an error,
/// not removed: the caller does both.
///
/// # Errors
/// [`ArchiveError::Refused`] when the archive is at fault, [`ArchiveError::Io`] when the disk is.
pub fn unpack(archive: &Path, staging: &Path, limits: &Limits) -> Result<PathBuf, ArchiveError> {
    let mut file = File::open(archive).map_err(ArchiveError::io("open", archive))?;
    let reading = ArchiveError::reading(archive);
    let format = format::detect(&mut file).map_err(&reading)?.map_err(|looks_like| {
        let why = format!("it is {looks_like}: give a .tar.gz, a .tar or the executable quorate");
        ArchiveError::refused(why)
    })?;
    file.rewind().map_err(&reading)?;
    let reader = BufReader::new(file);
    let bytes_max = limits.unpacked_bytes_max;
    match format {
        Format::Elf => unpack_bare(Limited::new(reader, bytes_max), staging, &reading)?,
        Format::Tar => unpack_tar(Limited::new(reader, bytes_max), staging, limits, &reading)?,
        Format::TarGz => {
            let reader = Limited::new(MultiGzDecoder::new(reader), bytes_max);
            unpack_tar(reader, staging, limits, &reading)?;
        }
    }
    executable::find(staging)
}

fn unpack_bare(
    mut reader: impl Read,
    staging: &Path,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<(), ArchiveError> {
    write_file(&mut reader, &staging.join(EXECUTABLE), 0o755, reading)
}

fn unpack_tar(
    reader: impl Read,
    staging: &Path,
    limits: &Limits,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(reader);
    let mut links_to_root = Vec::new();
    entries::for_each(&mut archive, limits, reading, |item, content| {
        unpack_item(item, content, staging, limits, &mut links_to_root, reading)
    })?;
    // To the very end: only there gzip keeps its own checksum.
    let mut rest = archive.into_inner();
    io::copy(&mut rest, &mut io::sink()).map_err(reading)?;
    check_top_folder(staging, &links_to_root)
}

/// When the archive's only top folder becomes the release, a link that climbs above that folder
/// would point outside it.
fn check_top_folder(staging: &Path, links_to_root: &[PathBuf]) -> Result<(), ArchiveError> {
    let has_top_folder = !staging.join(EXECUTABLE).exists();
    match links_to_root.first() {
        Some(link) if has_top_folder => Err(bad(link, "is a link that leaves its top folder")),
        _ => Ok(()),
    }
}

fn unpack_item(
    item: Item,
    content: &mut dyn Read,
    staging: &Path,
    limits: &Limits,
    links_to_root: &mut Vec<PathBuf>,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<(), ArchiveError> {
    let path = entry_path(&item.path, limits)?;
    if path.as_os_str().is_empty() {
        return match item.kind {
            Kind::Folder => Ok(()),
            _ => Err(ArchiveError::refused("an entry has no name")),
        };
    }
    create_parents(staging, &path)?;
    let place = staging.join(&path);
    match item.kind {
        Kind::Folder => folder(&place, &path),
        Kind::File => {
            if item.mode & MODE_SETID != 0 {
                return Err(bad(&path, "has a setuid or setgid bit"));
            }
            check_free(&place, &path)?;
            write_file(content, &place, item.mode, reading)
        }
        Kind::Symlink(target) => {
            let climb = link_climb(&path, &target, limits)?;
            if climb > 0 && climb == levels_above(&path) {
                links_to_root.push(path.clone());
            }
            check_free(&place, &path)?;
            let target = Path::new(std::ffi::OsStr::from_bytes(&target));
            symlink(target, &place).map_err(ArchiveError::io("create", &place))
        }
        Kind::HardLink(target) => hard_link(staging, &path, &target, limits),
    }
}

/// A second name for a file that is already unpacked, reached over real folders only.
fn hard_link(
    staging: &Path,
    path: &Path,
    target: &[u8],
    limits: &Limits,
) -> Result<(), ArchiveError> {
    let outside = |_| bad(path, "is a hard link that points outside the archive");
    let target = entry_path(target, limits).map_err(outside)?;
    let is_real = is_real_folder(staging, target.parent().unwrap_or(Path::new("")));
    let from = staging.join(&target);
    let is_file = fs::symlink_metadata(&from).is_ok_and(|metadata| metadata.is_file());
    if !is_real || !is_file {
        return Err(bad(path, "is a hard link to something that is not a file before it"));
    }
    let place = staging.join(path);
    check_free(&place, path)?;
    fs::hard_link(&from, &place).map_err(ArchiveError::io("create", &place))
}

/// Makes the folders above an entry; each must be a folder, not a link to one.
fn create_parents(staging: &Path, path: &Path) -> Result<(), ArchiveError> {
    let mut place = staging.to_owned();
    for name in path.parent().into_iter().flat_map(Path::components) {
        place.push(name);
        folder(&place, path)?;
    }
    Ok(())
}

fn folder(place: &Path, path: &Path) -> Result<(), ArchiveError> {
    match fs::symlink_metadata(place) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(bad(path, "lies below something that is not a folder, or appears twice")),
        Err(_) => create_dir(place).map_err(|error| match error {
            crate::ReleaseError::Io { what, path, error } => ArchiveError::Io { what, path, error },
            other => ArchiveError::refused(other.to_string()),
        }),
    }
}

fn is_real_folder(staging: &Path, path: &Path) -> bool {
    let mut place = staging.to_owned();
    path.components().all(|name| {
        place.push(name);
        fs::symlink_metadata(&place).is_ok_and(|metadata| metadata.is_dir())
    })
}

fn check_free(place: &Path, path: &Path) -> Result<(), ArchiveError> {
    match fs::symlink_metadata(place) {
        Ok(_) => Err(bad(path, "appears twice")),
        Err(_) => Ok(()),
    }
}

fn write_file(
    content: &mut dyn Read,
    place: &Path,
    mode: u32,
    reading: &impl Fn(io::Error) -> ArchiveError,
) -> Result<(), ArchiveError> {
    // `create_new` also refuses to follow a link.
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(place)
        .map_err(ArchiveError::io("create", place))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match content.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => file.write_all(&chunk[..n]).map_err(ArchiveError::io("write", place))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(reading(error)),
        }
    }
    set_file_mode(place, mode).map_err(ArchiveError::io("write", place))
}
