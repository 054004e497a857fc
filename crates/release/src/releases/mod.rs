//! The directory of unpacked releases of one unit.
//!
//! ```text
//! DIR/releases/<id>/quorate        one folder per release; never changed once it has its name
//! DIR/releases/.staging-*          being written; removed by the next install
//! DIR/current  -> releases/<id>    what the service runs
//! DIR/previous -> releases/<id>    what it ran before
//! ```

mod install;
mod links;
mod lock;
#[cfg(test)]
mod tests;
mod tidy;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use install::{create_dir, set_file_mode};
pub use lock::Lock;

use crate::{EXECUTABLE, ReleaseError, ReleaseId};
use links::Link;

/// How long a change waits for another process that is changing the same directory: it may be
/// unpacking and syncing a whole release on a slow disk.
const LOCK_WAIT: Duration = Duration::from_secs(60);

/// Longest content of a release's `version` file that is believed, in bytes.
const VERSION_BYTES_MAX: u64 = 64;

/// The directory `R/opt/quorate/<unit>`: its releases and the links `current` and `previous`.
///
/// Reading needs no lock. Every change takes an exclusive lock on the directory for its duration,
/// waiting at most 60 s ([`ReleaseError::Busy`]), is durable when it returns, and can be repeated
/// after a crash at any point.
#[derive(Clone, Debug)]
pub struct Releases {
    dir: PathBuf,
}

/// One unpacked, complete release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// Its name.
    pub id: ReleaseId,
    /// Its folder, `DIR/releases/<id>`.
    pub path: PathBuf,
}

/// What [`Releases::switch`] or [`Releases::rollback`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Switched {
    /// What was current before; `None` when nothing was.
    pub from: Option<ReleaseId>,
    /// What is current now.
    pub to: ReleaseId,
}

impl Switched {
    /// True when another release is current than before, that is: when a restart is due.
    #[must_use]
    pub fn is_change(&self) -> bool {
        self.from.as_ref() != Some(&self.to)
    }
}

impl Release {
    /// Path of the agent in this release.
    #[must_use]
    pub fn executable(&self) -> PathBuf {
        self.path.join(EXECUTABLE)
    }

    /// What the release's own `version` file says (first line, at most 64 printable bytes); `None`
    /// when there is none or it is not believable.
    #[must_use]
    pub fn version(&self) -> Option<String> {
        let path = self.path.join("version");
        let is_small =
            fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() <= VERSION_BYTES_MAX);
        let text = is_small.then(|| fs::read_to_string(&path).ok())??;
        let line = text.lines().next()?.trim();
        let is_plain = !line.is_empty() && line.chars().all(|c| c.is_ascii_graphic());
        is_plain.then(|| line.to_owned())
    }
}

impl Releases {
    /// The releases below `dir` (`R/opt/quorate/<unit>`). Touches nothing: `dir` need not exist, it
    /// is made by the first install.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The directory itself.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// `DIR/current/quorate`: what a service file names.
    #[must_use]
    pub fn current_executable(&self) -> PathBuf {
        self.dir.join(Link::Current.name()).join(EXECUTABLE)
    }

    /// The release that `current` names. `None` when there is no such link, or the release it names
    /// is gone: in both cases the answer is to install one and [`switch`](Self::switch) to it.
    ///
    /// # Errors
    /// [`ReleaseError::ForeignLink`], [`ReleaseError::Io`].
    pub fn current(&self) -> Result<Option<Release>, ReleaseError> {
        self.named_by(Link::Current)
    }

    /// The release to roll back to. `None` when there is none, when it is gone, or when it is the
    /// current one (left so by a crash in the middle of a switch).
    ///
    /// # Errors
    /// [`ReleaseError::ForeignLink`], [`ReleaseError::Io`].
    pub fn previous(&self) -> Result<Option<Release>, ReleaseError> {
        let current = self.current()?;
        let previous = self.named_by(Link::Previous)?;
        Ok(previous.filter(|release| Some(release) != current.as_ref()))
    }

    /// The release named `id`, when it is unpacked here.
    ///
    /// # Errors
    /// [`ReleaseError::Io`] when that cannot be told.
    pub fn get(&self, id: &ReleaseId) -> Result<Option<Release>, ReleaseError> {
        let release = Release { id: id.clone(), path: self.releases_dir().join(id.as_str()) };
        let executable = release.executable();
        match fs::symlink_metadata(&executable) {
            Ok(metadata) if metadata.is_file() => Ok(Some(release)),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(ReleaseError::io("look at", &executable)(error)),
        }
    }

    /// Every release, sorted by id.
    ///
    /// # Errors
    /// [`ReleaseError::Io`].
    pub fn list(&self) -> Result<Vec<Release>, ReleaseError> {
        let mut releases = Vec::new();
        for name in self.names()? {
            if let Ok(id) = ReleaseId::new(name) {
                releases.extend(self.get(&id)?);
            }
        }
        releases.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(releases)
    }

    /// Makes `id` current; what was current becomes previous. Nothing changes when it is current
    /// already. Each link is replaced by rename, so a reader always sees an old or a new one; the
    /// running process is not touched.
    ///
    /// # Errors
    /// [`ReleaseError::NotFound`], [`ReleaseError::ForeignLink`], [`ReleaseError::Busy`],
    /// [`ReleaseError::Io`].
    pub fn switch(&self, id: &ReleaseId) -> Result<Switched, ReleaseError> {
        let _lock = self.lock_existing(id)?;
        self.switch_locked(id)
    }

    /// Makes the previous release current again, and the current one previous: rolling back twice
    /// is rolling forward. A caller that may be killed and run again remembers the id and calls
    /// [`switch`](Self::switch) with it instead, which can be repeated.
    ///
    /// # Errors
    /// [`ReleaseError::NoPrevious`] and those of [`switch`](Self::switch).
    pub fn rollback(&self) -> Result<Switched, ReleaseError> {
        let no_previous = || ReleaseError::NoPrevious { dir: self.dir.clone() };
        if !self.releases_dir().is_dir() {
            return Err(no_previous());
        }
        let _lock = self.lock(LOCK_WAIT)?;
        let previous = self.previous()?.ok_or_else(no_previous)?;
        self.switch_locked(&previous.id)
    }

    /// The folder that holds the releases.
    pub(crate) fn releases_dir(&self) -> PathBuf {
        self.dir.join("releases")
    }

    /// Locks, but does not make a directory just to say that `id` is not in it.
    fn lock_existing(&self, id: &ReleaseId) -> Result<Lock, ReleaseError> {
        if self.get(id)?.is_none() {
            return Err(self.not_found(id));
        }
        self.lock(LOCK_WAIT)
    }

    /// The two links cannot change in one step, so the order matters. Towards something new,
    /// `previous` first: a crash between loses only the oldest name. Back to the previous one,
    /// `current` first: a crash between leaves the roll-back done.
    fn switch_locked(&self, id: &ReleaseId) -> Result<Switched, ReleaseError> {
        let to = self.get(id)?.ok_or_else(|| self.not_found(id))?.id;
        let from = self.current()?.map(|release| release.id);
        let previous = self.previous()?.map(|release| release.id);
        if from.as_ref() == Some(&to) {
            return Ok(Switched { from, to });
        }
        if previous.as_ref() == Some(&to) {
            self.point(Link::Current, &to)?;
            self.point_previous(from.as_ref())?;
        } else {
            self.point_previous(from.as_ref())?;
            self.point(Link::Current, &to)?;
        }
        Ok(Switched { from, to })
    }

    fn point_previous(&self, id: Option<&ReleaseId>) -> Result<(), ReleaseError> {
        id.map_or(Ok(()), |id| self.point(Link::Previous, id))
    }

    fn not_found(&self, id: &ReleaseId) -> ReleaseError {
        ReleaseError::NotFound { id: id.to_string(), dir: self.releases_dir() }
    }

    /// Names of everything in `releases/`; none when the folder does not exist.
    fn names(&self) -> Result<Vec<String>, ReleaseError> {
        let dir = self.releases_dir();
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(Vec::new()),
            Err(error) => return Err(ReleaseError::io("list", &dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(ReleaseError::io("list", &dir))?;
            names.extend(entry.file_name().into_string().ok());
        }
        Ok(names)
    }
}

/// No such path, or a parent that is not a folder.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
