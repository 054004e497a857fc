//! Telling a new directory, one of ours, and something else apart, before anything is written.

use std::fs;
use std::io;
use std::path::Path;

use super::{CLAIM, DATABASE, DataDirError, IDENTITY, LOCK, LOG, MEMBER, PINS, archive};

/// What a fresh file system or an interrupted first start may leave.
const HARMLESS: [&str; 1] = ["lost+found"];

/// Refuses a directory that is neither new nor ours.
pub(super) fn check(path: &Path) -> Result<(), DataDirError> {
    let member = path.join(MEMBER);
    if is_file(&member.join(IDENTITY))? {
        return Ok(());
    }
    let foreign =
        |what: &str| Err(DataDirError::Foreign { path: path.to_owned(), what: what.to_owned() });
    if is_file(&member.join(DATABASE).join("db"))? {
        return foreign(
            "holds the data of an etcd member; choose another directory and import its data from \
             a snapshot (etcdctl snapshot save)",
        );
    }
    if !names(&member.join(LOG))?.is_empty() || !names(&member.join(DATABASE))?.is_empty() {
        return foreign(
            "holds a log or a database but no identity file, so part of it was lost or it belongs \
             to another product; restore member/identity, or move the directory away and replace \
             this member",
        );
    }
    let known = |name: &String| {
        HARMLESS.contains(&name.as_str())
            || [LOCK, PINS, CLAIM, LOG, DATABASE].contains(&name.as_str())
            || name.ends_with(super::sealed::UNFINISHED_SUFFIX)
    };
    let unknown = names(path)?
        .into_iter()
        .filter(|name| {
            name != MEMBER && !HARMLESS.contains(&name.as_str()) && !archive::is_one(name)
        })
        .chain(names(&member)?.into_iter().filter(|name| !known(name)))
        .next();
    match unknown {
        None => Ok(()),
        Some(name) => foreign(&format!(
            "is not empty ({name:?} is in it) and has no identity file; choose an empty directory"
        )),
    }
}

fn is_file(path: &Path) -> Result<bool, DataDirError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if is_absence(&error) => Ok(false),
        Err(error) => Err(DataDirError::io("reading", path, &error)),
    }
}

fn names(path: &Path) -> Result<Vec<String>, DataDirError> {
    let at = |error: io::Error| DataDirError::io("reading", path, &error);
    match fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| Ok(entry.map_err(at)?.file_name().to_string_lossy().into_owned()))
            .collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(at(error)),
    }
}

/// No answer is not absence: only these say that the file does not exist.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound)
}
