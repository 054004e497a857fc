//! What is no longer needed goes.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::install::STAGING_PREFIX;
use super::{LOCK_WAIT, Release, Releases};
use crate::{ReleaseError, ReleaseId};

impl Releases {
    /// Keeps the `count` newest releases (by the time they were put here) and removes the others,
    /// but never the current nor the previous one, whatever `count` is. Answers with what was
    /// removed.
    ///
    /// # Errors
    /// [`ReleaseError::Busy`], [`ReleaseError::ForeignLink`], [`ReleaseError::Io`].
    pub fn keep(&self, count: usize) -> Result<Vec<ReleaseId>, ReleaseError> {
        if !self.releases_dir().is_dir() {
            return Ok(Vec::new());
        }
        let _lock = self.lock(LOCK_WAIT)?;
        self.remove_leftovers()?;
        let (current, previous) = (self.current()?, self.previous()?);
        let mut releases = self.list()?;
        releases.sort_by_key(|release| std::cmp::Reverse(placed_at(release)));
        let mut removed = Vec::new();
        for release in releases.into_iter().skip(count) {
            let is_named = [&current, &previous].into_iter().flatten().any(|r| *r == release);
            if !is_named {
                self.remove(&release)?;
                removed.push(release.id);
            }
        }
        Ok(removed)
    }

    /// Takes the name away first: what is half removed must not look like a release.
    fn remove(&self, release: &Release) -> Result<(), ReleaseError> {
        let doomed = self.releases_dir().join(format!("{STAGING_PREFIX}{}", release.id));
        fs::rename(&release.path, &doomed).map_err(ReleaseError::io("rename", &release.path))?;
        remove_tree(&doomed)
    }

    /// Removes what a crash left: folders that never got their name. Only under the lock.
    pub(super) fn remove_leftovers(&self) -> Result<(), ReleaseError> {
        for name in self.names()? {
            if name.starts_with(STAGING_PREFIX) {
                remove_tree(&self.releases_dir().join(name))?;
            }
        }
        Ok(())
    }
}

fn remove_tree(path: &Path) -> Result<(), ReleaseError> {
    fs::remove_dir_all(path).map_err(ReleaseError::io("remove", path))
}

/// When the release was put here; the folder itself does not change afterwards.
fn placed_at(release: &Release) -> SystemTime {
    fs::metadata(&release.path).and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH)
}
