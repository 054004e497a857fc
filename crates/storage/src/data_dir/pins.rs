//! Incarnations of peers, pinned at first contact.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use store::MemberId;

use super::error::{DataDirError, PinMismatch};
use super::identity::Incarnation;
use super::sealed;

const TITLE: &str = "quorate pins 1";

/// The pins and their file. As many as the cluster has members, plus those being replaced.
pub(super) struct Pins {
    path: PathBuf,
    pins: BTreeMap<MemberId, Incarnation>,
}

impl Pins {
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let damaged = |reason: &str| DataDirError::Damaged {
            path: path.to_owned(),
            reason: reason.to_owned(),
        };
        let Some(text) = sealed::read(path)? else {
            return Ok(Self { path: path.to_owned(), pins: BTreeMap::new() });
        };
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(DataDirError::Newer { path: path.to_owned() });
        }
        let pins = lines
            .map(|line| parse_line(line).ok_or_else(|| damaged(&format!("{line:?} is no pin"))))
            .collect::<Result<_, _>>()?;
        Ok(Self { path: path.to_owned(), pins })
    }

    pub fn pin(&mut self, member: MemberId, offered: Incarnation) -> Result<(), PinMismatch> {
        match self.pins.get(&member) {
            Some(&pinned) if pinned == offered => Ok(()),
            Some(&pinned) => Err(PinMismatch::Different { member, pinned, offered }),
            None => {
                let mut pins = self.pins.clone();
                pins.insert(member, offered);
                Ok(self.replace(pins)?)
            }
        }
    }

    pub fn unpin(&mut self, member: MemberId) -> Result<(), DataDirError> {
        let mut pins = self.pins.clone();
        match pins.remove(&member) {
            Some(_) => self.replace(pins),
            None => Ok(()),
        }
    }

    pub fn get(&self, member: MemberId) -> Option<Incarnation> {
        self.pins.get(&member).copied()
    }

    pub fn all(&self) -> Vec<(MemberId, Incarnation)> {
        self.pins.iter().map(|(member, incarnation)| (*member, *incarnation)).collect()
    }

    /// The file first: a pin that is not durable does not count.
    fn replace(&mut self, pins: BTreeMap<MemberId, Incarnation>) -> Result<(), DataDirError> {
        let mut text = format!("{TITLE}\n");
        for (member, incarnation) in &pins {
            text.push_str(&format!("{:016x} {incarnation}\n", member.0));
        }
        sealed::write(&self.path, &text)?;
        self.pins = pins;
        Ok(())
    }
}

fn parse_line(line: &str) -> Option<(MemberId, Incarnation)> {
    let (member, incarnation) = line.split_once(' ')?;
    Some((MemberId(u64::from_str_radix(member, 16).ok()?), incarnation.parse().ok()?))
}
