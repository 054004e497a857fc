//! Who a data directory is.

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;

use store::MemberId;

use super::DataDirError;

/// A random number drawn once for each data directory: the same member on another disk is another
/// incarnation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl Incarnation {
    /// Draws one.
    ///
    /// # Errors
    /// When the operating system has no random numbers.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 16];
        rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Incarnation {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u128::from_str_radix(text, 16).map(|number| Self(number.to_be_bytes()))
    }
}

/// Whether the directory's member still is one, as far as this directory knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is a member, or about to become one.
    Member,
    /// It learnt that it was removed. It must not run again under this id.
    Removed,
    /// It left by itself.
    Left,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Removed => "removed",
            Self::Left => "left",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Removed, Self::Left].into_iter().find(|known| known.as_str() == text)
    }
}

/// Whose a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: u64,
    /// The member.
    pub member_id: MemberId,
    /// This directory.
    pub incarnation: Incarnation,
    /// A log was begun: from then on its absence is a loss.
    pub has_log: bool,
    /// Whether it is still in use.
    pub standing: Standing,
}

const TITLE: &str = "quorate identity";
const VERSION: &str = "1";

impl Identity {
    pub(super) fn to_text(self) -> String {
        format!(
            "{TITLE} {VERSION}\ncluster {:016x}\nmember {:016x}\nincarnation {}\nlog {}\nstate {}\n",
            self.cluster_id,
            self.member_id.0,
            self.incarnation,
            if self.has_log { "begun" } else { "none" },
            self.standing.as_str(),
        )
    }

    pub(super) fn parse(text: &str, path: &Path) -> Result<Self, DataDirError> {
        let damaged = |reason: &str| DataDirError::Damaged {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let mut lines = text.lines();
        match lines.next().and_then(|line| line.strip_prefix(TITLE)) {
            Some(version) if version.trim() == VERSION => {}
            Some(_) => return Err(DataDirError::Newer { path: path.to_owned() }),
            None => return Err(damaged("it does not begin as an identity file")),
        }
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name));
            line.map(str::trim).ok_or_else(|| damaged(&format!("no {name} where one is due")))
        };
        let number = |text: &str| {
            u64::from_str_radix(text, 16).map_err(|_| damaged(&format!("{text:?} is no number")))
        };
        Ok(Self {
            cluster_id: number(field("cluster")?)?,
            member_id: MemberId(number(field("member")?)?),
            incarnation: field("incarnation")?
                .parse()
                .map_err(|_| damaged("the incarnation is no number"))?,
            has_log: match field("log")? {
                "begun" => true,
                "none" => false,
                _ => return Err(damaged("the log is neither begun nor none")),
            },
            standing: Standing::parse(field("state")?)
                .ok_or_else(|| damaged("the state is none of member, removed and left"))?,
        })
    }
}
