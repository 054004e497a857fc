//! The incarnation that a directory without an identity claims membership with.
//!
//! It is on disk before the first claim is sent. A claimant that crashes and claims again is thereby
//! the same one to the leader, and gets the membership it was granted before.

use std::path::Path;

use super::DataDirError;
use super::identity::Incarnation;
use super::sealed;

const TITLE: &str = "quorate claim 1";
const INCARNATION: &str = "incarnation ";

/// The incarnation drawn before; `None` when none was.
pub(super) fn read(path: &Path) -> Result<Option<Incarnation>, DataDirError> {
    let Some(text) = sealed::read(path)? else { return Ok(None) };
    let mut lines = text.lines();
    if lines.next() != Some(TITLE) {
        return Err(DataDirError::Newer { path: path.to_owned() });
    }
    let incarnation = lines.next().and_then(|line| line.strip_prefix(INCARNATION)?.parse().ok());
    incarnation.map(Some).ok_or_else(|| DataDirError::Damaged {
        path: path.to_owned(),
        reason: "no incarnation where one is due".to_owned(),
    })
}

/// Makes it durable.
pub(super) fn write(path: &Path, incarnation: Incarnation) -> Result<(), DataDirError> {
    sealed::write(path, &format!("{TITLE}\n{INCARNATION}{incarnation}\n"))
}
