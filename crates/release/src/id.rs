//! The name of one release.

use std::fmt;
use std::str::FromStr;

use crate::ReleaseError;

/// Most characters an id may have.
const ID_LEN_MAX: usize = 64;

/// The name of one release, and of its folder below `releases/`.
///
/// 1 to 64 of `a-z`, `0-9`, `-`, `_` and `.`, starting with a letter or a digit: never a path. A release
/// that was fetched is named by the first 12 hex digits of its sum; the one the charm carries is
/// `charm-<hash>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Takes `text` as an id.
    ///
    /// # Errors
    /// [`ReleaseError::BadId`] when it is empty, too long, or has other characters.
    pub fn new(text: impl Into<String>) -> Result<Self, ReleaseError> {
        let text = text.into();
        if is_id(&text) { Ok(Self(text)) } else { Err(ReleaseError::BadId { id: text }) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_id(text: &str) -> bool {
    let starts_well = text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let is_plain =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    starts_well && text.len() <= ID_LEN_MAX && text.chars().all(is_plain)
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReleaseId {
    type Err = ReleaseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_a_path() {
        for good in ["0123456789ab", "charm-0a1b2c", "v1.2_3"] {
            assert_eq!(ReleaseId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", ".staging-1", "-x", "A", "a b", "a\n", &"a".repeat(65)] {
            assert!(ReleaseId::new(bad).is_err(), "{bad:?} was accepted");
        }
    }
}
