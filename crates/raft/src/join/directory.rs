//! What state a data directory is in. Whatever cannot be opened or is somebody else's has been
//! refused before (`storage::DataDirError`): an I/O error is never an empty directory.

use storage::{Identity, Standing};

/// The state of a directory that could be opened and is ours or new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectoryState {
    /// It belongs to no member yet; it may have begun to claim.
    New,
    /// It belongs to a member: one that runs, or that was admitted and never ran.
    Valid,
    /// Its member has learnt that it was removed.
    Removed,
    /// Its member left by itself.
    Left,
}

/// Tells from the identity.
pub(super) fn state_of(identity: Option<&Identity>) -> DirectoryState {
    let Some(identity) = identity else { return DirectoryState::New };
    match identity.standing {
        Standing::Member => DirectoryState::Valid,
        Standing::Removed => DirectoryState::Removed,
        Standing::Left => DirectoryState::Left,
    }
}
