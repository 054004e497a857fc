//! The links `current` and `previous`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::{Release, Releases, is_absent};
use crate::{ReleaseError, ReleaseId};

/// One of the two links.
#[derive(Clone, Copy)]
pub(super) enum Link {
    /// What runs.
    Current,
    /// What ran before.
    Previous,
}

impl Link {
    /// File name of the link.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Previous => "previous",
        }
    }

    /// Where the new link waits for its rename. One name each: the lock allows one writer.
    fn temporary(self) -> &'static str {
        match self {
            Self::Current => ".current.new",
            Self::Previous => ".previous.new",
        }
    }
}

impl Releases {
    /// The release a link names, when both are there.
    pub(super) fn named_by(&self, link: Link) -> Result<Option<Release>, ReleaseError> {
        let path = self.dir.join(link.name());
        let foreign = || ReleaseError::ForeignLink { path: path.clone() };
        let target = match fs::read_link(&path) {
            Ok(target) => target,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(foreign()),
            Err(error) => return Err(ReleaseError::io("read", &path)(error)),
        };
        let name = target.strip_prefix("releases").ok().and_then(Path::to_str);
        let id = name.and_then(|name| ReleaseId::new(name).ok()).ok_or_else(foreign)?;
        self.get(&id)
    }

    /// Points a link at `id`, atomically and durably.
    pub(super) fn point(&self, link: Link, id: &ReleaseId) -> Result<(), ReleaseError> {
        let path = self.dir.join(link.name());
        let temporary = self.dir.join(link.temporary());
        match fs::remove_file(&temporary) {
            Err(error) if !is_absent(&error) => {
                return Err(ReleaseError::io("remove", &temporary)(error));
            }
            _ => {}
        }
        symlink(Path::new("releases").join(id.as_str()), &temporary)
            .map_err(ReleaseError::io("create", &temporary))?;
        fs::rename(&temporary, &path).map_err(ReleaseError::io("replace", &path))?;
        sync_dir(&self.dir)
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_dir(dir: &Path) -> Result<(), ReleaseError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(ReleaseError::io("sync", dir))
}
