//! The data directory: who may use it, whose it is, and which disks of peers it has met.
//!
//! ```text
//! member/lock         locked while a process uses the directory
//! member/identity     cluster, member and incarnation; docs/formats/identity.md
//! member/pins         incarnations of peers; docs/formats/identity.md
//! member/claim        the incarnation a claim is made with; docs/formats/identity.md
//! member/wal/         the raft log
//! member/snap/        the database
//! member.old-*/       what a removed member left; archive.rs
//! ```

mod archive;
mod claim;
mod error;
mod foreign;
mod identity;
mod pins;
mod sealed;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::FlockOperation;
use store::MemberId;

pub use archive::{ARCHIVES_KEPT, Past};
pub use error::{DataDirError, PinMismatch};
pub use identity::{Identity, Incarnation, Standing};
use pins::Pins;

use crate::backend::Backend;
use crate::log::{Log, LogError, LogOptions, LogState};

const MEMBER: &str = "member";
const LOCK: &str = "lock";
const IDENTITY: &str = "identity";
const PINS: &str = "pins";
const CLAIM: &str = "claim";
const LOG: &str = "wal";
const DATABASE: &str = "snap";

/// Mode of directories made here: keys and values are nobody else's business.
const PRIVATE: u32 = 0o700;

/// A locked data directory. Dropped, it is free for another process.
pub struct DataDir {
    path: PathBuf,
    identity: Mutex<Option<Identity>>,
    pins: Mutex<Pins>,
    /// Keeps the lock; the operating system releases it with the process, however that ends.
    _lock: fs::File,
}

impl DataDir {
    /// Locks the directory, made when missing, and reads what it says of itself.
    ///
    /// # Errors
    /// When it belongs to something else or to nobody known, is in use, or cannot be used; one
    /// line says what to do. Nothing in it is changed then.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let path = path.into();
        let member = path.join(MEMBER);
        foreign::check(&path)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE)
            .create(&member)
            .map_err(|error| DataDirError::io("making", &member, &error))?;
        let lock = lock(&path, &member.join(LOCK))?;
        let identity = sealed::read(&member.join(IDENTITY))?
            .map(|text| Identity::parse(&text, &member.join(IDENTITY)))
            .transpose()?;
        let pins = Pins::open(&member.join(PINS))?;
        Ok(Self { path, identity: Mutex::new(identity), pins: Mutex::new(pins), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose it is; `None` in a new directory.
    pub fn identity(&self) -> Option<Identity> {
        *self.identity.lock()
    }

    /// Makes a new directory that of a member, durably: nothing that names the member may be
    /// written or sent before. Its incarnation is the one a claim was made with, else a fresh one.
    ///
    /// # Errors
    /// When it has an identity already, or cannot be written.
    pub fn create_identity(
        &self,
        cluster_id: u64,
        member_id: MemberId,
    ) -> Result<Identity, DataDirError> {
        let mut current = self.identity.lock();
        if current.is_some() {
            return Err(DataDirError::HasIdentity { path: self.path.clone() });
        }
        let incarnation = match claim::read(&self.claim_path())? {
            Some(claimed) => claimed,
            None => self.draw()?,
        };
        let standing = Standing::Member;
        let identity = Identity { cluster_id, member_id, incarnation, has_log: false, standing };
        self.write_identity(&identity)?;
        *current = Some(identity);
        Ok(identity)
    }

    /// The incarnation that claims membership from this directory: drawn and made durable at the
    /// first call, the same one ever after, until [`Self::create_identity`] makes it the member's.
    ///
    /// # Errors
    /// When the directory has an identity, or the file cannot be read or written.
    pub fn claimant(&self) -> Result<Incarnation, DataDirError> {
        // Held, so that the identity is not created meanwhile.
        let current = self.identity.lock();
        if current.is_some() {
            return Err(DataDirError::HasIdentity { path: self.path.clone() });
        }
        if let Some(drawn) = claim::read(&self.claim_path())? {
            return Ok(drawn);
        }
        let drawn = self.draw()?;
        claim::write(&self.claim_path(), drawn)?;
        sealed::sync_directory(&self.path)?;
        Ok(drawn)
    }

    fn claim_path(&self) -> PathBuf {
        self.path.join(MEMBER).join(CLAIM)
    }

    fn draw(&self) -> Result<Incarnation, DataDirError> {
        Incarnation::random()
            .map_err(|error| DataDirError::io("drawing a random number for", &self.path, &error))
    }

    /// Notes durably that the member has been removed, or has left. A directory that is marked
    /// already keeps its first mark.
    ///
    /// # Errors
    /// When it belongs to no member, or cannot be written.
    pub fn retire(&self, standing: Standing) -> Result<(), DataDirError> {
        let mut current = self.identity.lock();
        let Some(identity) = current.as_mut() else {
            return Err(DataDirError::NoIdentity { path: self.path.clone() });
        };
        if identity.standing == Standing::Member && standing != Standing::Member {
            let retired = Identity { standing, ..*identity };
            self.write_identity(&retired)?;
            *identity = retired;
        }
        Ok(())
    }

    fn write_identity(&self, identity: &Identity) -> Result<(), DataDirError> {
        sealed::write(&self.path.join(MEMBER).join(IDENTITY), &identity.to_text())?;
        // The names of the directories must survive as well.
        sealed::sync_directory(&self.path)
    }

    /// Where the raft log is.
    pub fn log_directory(&self) -> PathBuf {
        self.path.join(MEMBER).join(LOG)
    }

    /// Where the database is.
    pub fn database_directory(&self) -> PathBuf {
        self.path.join(MEMBER).join(DATABASE)
    }

    /// Opens the raft log; `options.directory` and `options.must_exist` are set here. From the
    /// first time on the log must be there: a member that lost its log lost votes and entries it
    /// has acknowledged, and must not go on as if it had never had them.
    ///
    /// # Errors
    /// When the directory has no identity yet, or the log cannot be opened.
    pub fn open_log(&self, mut options: LogOptions) -> Result<(Log, LogState), DataDirError> {
        let mut current = self.identity.lock();
        let Some(identity) = current.as_mut() else {
            return Err(DataDirError::NoIdentity { path: self.path.clone() });
        };
        options.directory = self.log_directory();
        options.must_exist = identity.has_log;
        let (log, state) = Log::open(options)?;
        if !identity.has_log {
            sealed::sync_directory(&self.path.join(MEMBER))?;
            let begun = Identity { has_log: true, ..*identity };
            self.write_identity(&begun)?;
            *identity = begun;
        }
        Ok((log, state))
    }

    /// Checks that database and log belong together: what the log no longer has, the database has.
    ///
    /// # Errors
    /// When the database is behind what was purged from the log: it was lost or put back from a
    /// copy.
    pub fn check_agreement(&self, log: &LogState, backend: &Backend) -> Result<(), DataDirError> {
        let held = backend.position();
        match log.purged.filter(|purged| held.is_none_or(|held| held.index < purged.index)) {
            None => Ok(()),
            Some(purged) => {
                Err(DataDirError::DatabaseBehind { path: self.database_directory(), purged, held })
            }
        }
    }

    /// Accepts a peer's incarnation: the first one met is pinned durably before this returns, any
    /// other one afterwards is refused, because a disk that was lost must not vote in the name of
    /// the member that had it.
    ///
    /// # Errors
    /// When another incarnation is pinned, or the pin cannot be made durable.
    pub fn pin(&self, member: MemberId, incarnation: Incarnation) -> Result<(), PinMismatch> {
        self.pins.lock().pin(member, incarnation)
    }

    /// The incarnation pinned for a member.
    pub fn pinned(&self, member: MemberId) -> Option<Incarnation> {
        self.pins.lock().get(member)
    }

    /// The pinned incarnations, by member.
    pub fn pins(&self) -> Vec<(MemberId, Incarnation)> {
        self.pins.lock().all()
    }

    /// Forgets the pin of a member that was removed; its id is never used again.
    ///
    /// # Errors
    /// When that cannot be made durable.
    pub fn unpin(&self, member: MemberId) -> Result<(), DataDirError> {
        self.pins.lock().unpin(member)
    }
}

fn lock(directory: &Path, path: &Path) -> Result<fs::File, DataDirError> {
    let file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .map_err(|error| DataDirError::io("opening", path, &error))?;
    take_lock(file, directory, path)
}

fn take_lock(file: fs::File, directory: &Path, path: &Path) -> Result<fs::File, DataDirError> {
    let in_use = || DataDirError::InUse { path: directory.to_owned() };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(in_use()),
        Err(error) => return Err(DataDirError::io("locking", path, &error.into())),
    }
    // Whoever had it may have archived the member in between, and the lock with it: then this one
    // keeps nobody away.
    let at = |error: io::Error| DataDirError::io("locking", path, &error);
    let locked = file.metadata().map_err(at)?;
    match fs::metadata(path) {
        Ok(found) if (found.dev(), found.ino()) == (locked.dev(), locked.ino()) => Ok(file),
        Ok(_) => Err(in_use()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(in_use()),
        Err(error) => Err(at(error)),
    }
}

impl From<LogError> for DataDirError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}
