//! Names of the database files, and which of them is in force.
//!
//! A database comes into being under another name and gets its own by one rename: the file
//! `state-<n>.db` with the highest number is in force, complete and synced, whatever happened
//! around it. What else is there is left over from an interruption and removed.

use std::fs;
use std::path::{Path, PathBuf};

use super::error::BackendError;
use super::readers::sync_directory;
use super::schema;

const PREFIX: &str = "state-";
const SUFFIX: &str = ".db";
const INCOMING_PREFIX: &str = "incoming-";
const TEMPORARY_SUFFIXES: [&str; 2] = [".db-wal", ".db-shm"];

/// The database of that number.
pub(super) fn state_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{number:08}{SUFFIX}"))
}

/// A database that is not yet in force.
pub(super) fn incoming_path(directory: &Path, number: u64) -> PathBuf {
    directory.join(format!("{INCOMING_PREFIX}{number:08}{SUFFIX}"))
}

/// Finds the database in force, or makes an empty one, and removes what is left over.
pub(super) fn open_directory(directory: &Path) -> Result<(u64, PathBuf), BackendError> {
    fs::create_dir_all(directory).map_err(|error| BackendError::io("making", directory, error))?;
    let names = list(directory)?;
    let number = names.iter().filter_map(|name| state_number(name)).max();
    for name in &names {
        if is_leftover(name, number) {
            remove(&directory.join(name))?;
        }
    }
    match number {
        Some(number) => Ok((number, state_path(directory, number))),
        None => make_empty(directory).map(|path| (1, path)),
    }
}

fn list(directory: &Path) -> Result<Vec<String>, BackendError> {
    let at = |error: std::io::Error| BackendError::io("listing", directory, error);
    fs::read_dir(directory)
        .map_err(at)?
        .map(|entry| Ok(entry.map_err(at)?.file_name().to_string_lossy().into_owned()))
        .collect()
}

fn state_number(name: &str) -> Option<u64> {
    name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse().ok()
}

fn is_leftover(name: &str, in_force: Option<u64>) -> bool {
    if name.starts_with(INCOMING_PREFIX) {
        return true;
    }
    let base = TEMPORARY_SUFFIXES
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .map_or(name.to_owned(), |base| format!("{base}{SUFFIX}"));
    state_number(&base).is_some_and(|number| Some(number) != in_force)
}

pub(super) fn remove(path: &Path) -> Result<(), BackendError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(BackendError::io("removing", path, error))
        }
        _ => Ok(()),
    }
}

/// Removes a database that is no longer in force, with the files beside it.
pub(super) fn remove_state(directory: &Path, number: u64) -> Result<(), BackendError> {
    let path = state_path(directory, number);
    let base = path.with_extension("");
    for suffix in TEMPORARY_SUFFIXES {
        let mut beside = base.as_os_str().to_owned();
        beside.push(suffix);
        remove(Path::new(&beside))?;
    }
    remove(&path)
}

fn make_empty(directory: &Path) -> Result<PathBuf, BackendError> {
    let incoming = incoming_path(directory, 1);
    let connection = schema::create(&incoming)
        .map_err(|error| BackendError::sqlite("making", &incoming, &error))?;
    drop(connection);
    put_in_force(directory, &incoming, 1)
}

/// Syncs a complete database that nobody has open and gives it its name.
pub(super) fn put_in_force(
    directory: &Path,
    incoming: &Path,
    number: u64,
) -> Result<PathBuf, BackendError> {
    let path = state_path(directory, number);
    fs::File::open(incoming)
        .and_then(|file| file.sync_all())
        .map_err(|error| BackendError::io("syncing", incoming, error))?;
    fs::rename(incoming, &path).map_err(|error| BackendError::io("renaming", incoming, error))?;
    sync_directory(directory)?;
    Ok(path)
}
