//! Versions of Juju.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::names::ParseError;

/// A version of Juju: `3.6.11`, `4.0-beta4`, `2.9.51.1`.
///
/// Ordered as Juju orders them: by major and minor number, a pre-release before the release, then
/// by patch and build number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    major: u32,
    minor: u32,
    tag: Option<String>,
    patch: u32,
    build: u32,
}

impl Version {
    /// A released version.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, tag: None, patch, build: 0 }
    }

    /// The first number.
    pub fn major(&self) -> u32 {
        self.major
    }

    /// The second number.
    pub fn minor(&self) -> u32 {
        self.minor
    }

    /// The third number; of a pre-release the number after its tag.
    pub fn patch(&self) -> u32 {
        self.patch
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |version: &Self| (version.major, version.minor, version.tag.is_none());
        rank(self)
            .cmp(&rank(other))
            .then_with(|| self.tag.cmp(&other.tag))
            .then_with(|| (self.patch, self.build).cmp(&(other.patch, other.build)))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tag {
            Some(tag) => write!(f, "{}.{}-{tag}{}", self.major, self.minor, self.patch)?,
            None => write!(f, "{}.{}.{}", self.major, self.minor, self.patch)?,
        }
        if self.build != 0 { write!(f, ".{}", self.build) } else { Ok(()) }
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text).ok_or_else(|| {
            ParseError::new("a version of Juju, such as `3.6.11` or `4.0-beta4`", text)
        })
    }
}

fn parse(text: &str) -> Option<Version> {
    let (major, rest) = text.split_once('.')?;
    let (tagged, plain) = match rest.split_once('-') {
        Some((minor, rest)) => (Some(rest), minor),
        None => (None, rest),
    };
    let mut numbers = plain.split('.').map(number);
    let mut version = Version::new(number(major)?, numbers.next()??, 0);
    if let Some(tagged) = tagged {
        let digits = tagged.find(|c: char| c.is_ascii_digit())?;
        let (tag, rest) = tagged.split_at(digits);
        if tag.is_empty() || !tag.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        version.tag = Some(tag.to_owned());
        let (patch, build) = rest.split_once('.').unwrap_or((rest, "0"));
        (version.patch, version.build) = (number(patch)?, number(build)?);
    } else {
        version.patch = numbers.next().unwrap_or(Some(0))?;
        version.build = numbers.next().unwrap_or(Some(0))?;
    }
    numbers.next().is_none().then_some(version)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect(text)
    }

    #[test]
    fn versions_print_as_they_were_read() {
        for text in ["2.9.51", "3.6.11", "4.0-beta4", "3.6-rc1.2", "2.9.51.1"] {
            assert_eq!(version(text).to_string(), text);
        }
        assert_eq!(version("4.0").to_string(), "4.0.0");
    }

    #[test]
    fn versions_are_ordered_by_number_and_pre_releases_come_first() {
        let ordered =
            ["2.9.9", "2.9.10", "2.10.0", "3.6-beta2", "3.6-rc1", "3.6.0", "3.6.0.1", "4.0.0"];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("2.9.0"), Version::new(2, 9, 0));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for text in [
            "",
            "3",
            "3.",
            "3.6.",
            "3.x",
            "3.6.1.2.3",
            "3.6-1",
            "3.6-rc",
            "v3.6",
            "3.6.1-rc1",
            "+3.6",
        ] {
            assert!(text.parse::<Version>().is_err(), "{text:?}");
        }
    }
}
