//! A release comes into being: written beside, synced, renamed.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process;

use super::links::sync_dir;
use super::{LOCK_WAIT, Release, Releases};
use crate::{EXECUTABLE, ReleaseError, ReleaseId};

/// Start of the names of folders that are being written; no [`ReleaseId`] starts with a dot.
pub(super) const STAGING_PREFIX: &str = ".staging-";

/// Mode of folders and executables: everybody may read and run, only the owner may write.
const MODE_EXECUTABLE: u32 = 0o755;

/// Mode of other files.
const MODE_FILE: u32 = 0o644;

/// Deepest nesting of folders that is copied.
const DEPTH_MAX: usize = 16;

impl Releases {
    /// Makes `source` the release `id`: an executable file (it becomes `quorate`), or a folder with
    /// an executable `quorate` at its top (files and folders are copied; links and devices are
    /// refused). `source` is left as it is. Does not switch to it.
    ///
    /// A release that is there already is returned as it is: an id stands for one content.
    ///
    /// # Errors
    /// [`ReleaseError::NotARelease`], [`ReleaseError::Busy`], [`ReleaseError::Io`]; nothing is left
    /// under `id` then.
    pub fn install_from(&self, id: &ReleaseId, source: &Path) -> Result<Release, ReleaseError> {
        self.install_with(id, |staging| copy_into(source, staging))
    }

    /// Makes a release of what `fill` writes into an empty staging folder. `fill` answers with the
    /// folder that becomes the release: the staging folder or one below it.
    pub(crate) fn install_with<E: From<ReleaseError>>(
        &self,
        id: &ReleaseId,
        fill: impl FnOnce(&Path) -> Result<PathBuf, E>,
    ) -> Result<Release, E> {
        self.create_dirs()?;
        let _lock = self.lock(LOCK_WAIT)?;
        self.remove_leftovers()?;
        if let Some(release) = self.get(id)? {
            return Ok(release);
        }
        let staging = self.releases_dir().join(format!("{STAGING_PREFIX}{}", process::id()));
        create_dir(&staging)?;
        let result = fill(&staging).and_then(|filled| Ok(self.publish(id, &filled)?));
        // After a success this removes an emptied wrapper, if any; after a failure, everything.
        let removed = self.remove_leftovers();
        let release = result?;
        removed?;
        Ok(release)
    }

    /// Makes the directory and `releases/`, for everybody to read.
    pub(super) fn create_dirs(&self) -> Result<(), ReleaseError> {
        let dir = self.releases_dir();
        DirBuilder::new()
            .recursive(true)
            .mode(MODE_EXECUTABLE)
            .create(&dir)
            .map_err(ReleaseError::io("create", &dir))
    }

    /// Gives a filled folder its name. Before the rename everything in it is durable.
    fn publish(&self, id: &ReleaseId, filled: &Path) -> Result<Release, ReleaseError> {
        check_executable(filled)?;
        sync_tree(filled, 0)?;
        let path = self.releases_dir().join(id.as_str());
        if fs::symlink_metadata(&path).is_ok() {
            // Has the name but no executable, or `get` would have found it: damaged by hand.
            fs::remove_dir_all(&path).map_err(ReleaseError::io("remove", &path))?;
        }
        fs::rename(filled, &path).map_err(ReleaseError::io("rename to", &path))?;
        sync_dir(&self.releases_dir())?;
        Ok(Release { id: id.clone(), path })
    }
}

fn check_executable(dir: &Path) -> Result<(), ReleaseError> {
    let path = dir.join(EXECUTABLE);
    let refuse = |why: &str| ReleaseError::NotARelease { path: path.clone(), why: why.to_owned() };
    let metadata = fs::symlink_metadata(&path).map_err(|error| refuse(&error.to_string()))?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Err(refuse("it is not a file with content"));
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Err(refuse("it is not executable"));
    }
    Ok(())
}

fn copy_into(source: &Path, staging: &Path) -> Result<PathBuf, ReleaseError> {
    let metadata = fs::metadata(source).map_err(ReleaseError::io("look at", source))?;
    if metadata.is_dir() {
        copy_dir(source, staging, 0)?;
    } else {
        copy_file(source, &staging.join(EXECUTABLE))?;
    }
    Ok(staging.to_owned())
}

fn copy_dir(from: &Path, to: &Path, depth: usize) -> Result<(), ReleaseError> {
    let refuse = |why: &str| ReleaseError::NotARelease { path: from.into(), why: why.to_owned() };
    if depth > DEPTH_MAX {
        return Err(refuse("its folders are nested too deep"));
    }
    for entry in fs::read_dir(from).map_err(ReleaseError::io("list", from))? {
        let entry = entry.map_err(ReleaseError::io("list", from))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(ReleaseError::io("look at", &path))?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            create_dir(&target)?;
            copy_dir(&path, &target, depth + 1)?;
        } else if kind.is_file() {
            copy_file(&path, &target)?;
        } else {
            let name = entry.file_name();
            return Err(refuse(&format!("{} is neither file nor folder", name.display())));
        }
    }
    Ok(())
}

fn copy_file(from: &Path, to: &Path) -> Result<(), ReleaseError> {
    let metadata = fs::metadata(from).map_err(ReleaseError::io("look at", from))?;
    if !metadata.is_file() {
        let why = "it is neither file nor folder".to_owned();
        return Err(ReleaseError::NotARelease { path: from.into(), why });
    }
    fs::copy(from, to).map_err(ReleaseError::io("copy", from))?;
    set_file_mode(to, metadata.permissions().mode()).map_err(ReleaseError::io("write", to))
}

/// Creates one folder with the mode every folder of a release has, whatever the umask.
pub(crate) fn create_dir(path: &Path) -> Result<(), ReleaseError> {
    fs::create_dir(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(MODE_EXECUTABLE)))
        .map_err(ReleaseError::io("create", path))
}

/// Sets a file's mode from the mode it had where it comes from: only "may be executed" survives.
pub(crate) fn set_file_mode(path: &Path, mode: u32) -> io::Result<()> {
    let mode = if mode & 0o111 == 0 { MODE_FILE } else { MODE_EXECUTABLE };
    fs::set_permissions(path, Permissions::from_mode(mode))
}

fn sync_tree(dir: &Path, depth: usize) -> Result<(), ReleaseError> {
    if depth > DEPTH_MAX {
        let why = "its folders are nested too deep".to_owned();
        return Err(ReleaseError::NotARelease { path: dir.to_owned(), why });
    }
    for entry in fs::read_dir(dir).map_err(ReleaseError::io("list", dir))? {
        let entry = entry.map_err(ReleaseError::io("list", dir))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(ReleaseError::io("look at", &path))?;
        if kind.is_dir() {
            sync_tree(&path, depth + 1)?;
        } else if kind.is_file() {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(ReleaseError::io("sync", &path))?;
        }
    }
    sync_dir(dir)
}
