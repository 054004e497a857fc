//! What a removed member leaves: kept beside the new one until that is safe, never deleted before.
//!
//! An archive is the folder `member` under another name, `member.old-<unix seconds>-<member id>`,
//! inside the data directory: a rename there works on a mount point as well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::{DataDir, DataDirError, IDENTITY, Identity, MEMBER, claim, sealed};

/// Archives that [`DataDir::prune_archives`] keeps, the newest ones.
pub const ARCHIVES_KEPT: usize = 2;

const PREFIX: &str = "member.old-";

/// Archives whose names are looked at; a directory has a handful.
const ARCHIVES_MAX: usize = 10_000;

/// Whether a name in the data directory is that of an archive.
pub(super) fn is_one(name: &str) -> bool {
    age(name).is_some()
}

/// When the archive was made, from its name.
fn age(name: &str) -> Option<u64> {
    let (seconds, member) = name.strip_prefix(PREFIX)?.split_once('-')?;
    u64::from_str_radix(member, 16).ok()?;
    seconds.parse().ok()
}

/// What a directory was before, or wanted to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// The cluster of its last member; `None` when there only was a claim, or the archive does not
    /// say.
    pub cluster: Option<u64>,
}

impl DataDir {
    /// Puts everything the member left aside and gives the directory up; opened again, it is a new
    /// one. `now_s` is the time, seconds since 1970, for the archive's name.
    ///
    /// # Errors
    /// When it belongs to no member, or cannot be renamed; then nothing has changed.
    pub fn archive(self, now_s: u64) -> Result<PathBuf, DataDirError> {
        let Some(identity) = self.identity() else {
            return Err(DataDirError::NoIdentity { path: self.path.clone() });
        };
        let archive = self.path.join(format!("{PREFIX}{now_s}-{:016x}", identity.member_id.0));
        let member = self.path.join(MEMBER);
        // A name is taken only when the same member was archived in the same second, which its own
        // random id excludes; a rename onto a folder with contents fails anyway.
        fs::rename(&member, &archive)
            .map_err(|error| DataDirError::io("archiving", &member, &error))?;
        sealed::sync_directory(&self.path)?;
        Ok(archive)
    }

    /// The archives, oldest first.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn archives(&self) -> Result<Vec<PathBuf>, DataDirError> {
        listed(&self.path).map_err(|error| DataDirError::io("listing", &self.path, &error))
    }

    /// What the directory was before: `None` when it has never been that of a member, and no claim
    /// was made from it. Such a directory is not as good as new, so it must not found a cluster.
    ///
    /// # Errors
    /// When the directory or the newest archive cannot be read.
    pub fn past(&self) -> Result<Option<Past>, DataDirError> {
        match self.archives()?.pop() {
            Some(newest) => {
                let cluster = match identity_in(&newest) {
                    Ok(identity) => identity.map(|identity| identity.cluster_id),
                    // That there is a past is what counts.
                    Err(DataDirError::Damaged { .. } | DataDirError::Newer { .. }) => None,
                    Err(error) => return Err(error),
                };
                Ok(Some(Past { cluster }))
            }
            None => {
                let has_claimed = claim::read(&self.claim_path())?.is_some();
                Ok(has_claimed.then_some(Past { cluster: None }))
            }
        }
    }

    /// Deletes all archives but the newest [`ARCHIVES_KEPT`]. To be called only once the member
    /// that came after them has its vote.
    ///
    /// # Errors
    /// When one cannot be deleted.
    pub fn prune_archives(&self) -> Result<(), DataDirError> {
        let archives = self.archives()?;
        for archive in &archives[..archives.len().saturating_sub(ARCHIVES_KEPT)] {
            fs::remove_dir_all(archive)
                .map_err(|error| DataDirError::io("deleting", archive, &error))?;
        }
        Ok(())
    }
}

fn identity_in(archive: &Path) -> Result<Option<Identity>, DataDirError> {
    let path = archive.join(IDENTITY);
    sealed::read(&path)?.map(|text| Identity::parse(&text, &path)).transpose()
}

fn listed(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path)?.take(ARCHIVES_MAX) {
        let entry = entry?;
        if let Some(age) = entry.file_name().to_str().and_then(age) {
            found.push((age, entry.path()));
        }
    }
    found.sort();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}
