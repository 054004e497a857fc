//! Puts a charm's files onto a unit as the agent does (juju-surface 1.6, 2.2).

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::error::{At, Result};

/// The list of files of the last deployment, beside the charm directory.
const MANIFEST: &str = "charm.files";

/// Writes the charm over what is there. Files of the former charm that the new one lacks are
/// deleted, files the charm made itself stay.
pub(crate) fn deploy(source: &Path, target: &Path) -> Result<()> {
    let manifest = target.with_file_name(MANIFEST);
    let before: BTreeSet<PathBuf> =
        std::fs::read_to_string(&manifest).unwrap_or_default().lines().map(PathBuf::from).collect();
    let mut files = BTreeSet::new();
    walk(source, Path::new(""), &mut files)?;
    for gone in before.difference(&files) {
        // It may have been deleted by the charm.
        let _ = std::fs::remove_file(target.join(gone));
    }
    for file in &files {
        copy(&source.join(file), &target.join(file)).at(file.display())?;
    }
    repair_hooks(&target.join("hooks")).at("hooks")?;
    let list: String = files.iter().map(|file| format!("{}\n", file.display())).collect();
    std::fs::write(&manifest, list).at(manifest.display())
}

fn walk(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let dir = root.join(below);
    for entry in std::fs::read_dir(&dir).at(dir.display())? {
        let entry = entry.at(dir.display())?;
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            walk(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

/// The old file goes first: a process that runs it keeps it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to.parent().unwrap_or(to))?;
    match std::fs::remove_file(to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::fs::copy(from, to).map(drop)
}

/// Juju makes hooks executable; actions and dispatch keep the mode they came with.
fn repair_hooks(hooks: &Path) -> std::io::Result<()> {
    if !hooks.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(hooks)? {
        let path = entry?.path();
        let mode = std::fs::metadata(&path)?.permissions().mode();
        if path.is_file() && mode & 0o100 == 0 {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode | 0o100))?;
        }
    }
    Ok(())
}
