//! What the charm remembers about its unit from one hook to the next.
//!
//! Only what cannot be seen: everything else is gathered anew in each hook. The file is written
//! whole, before the step that relies on it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{self, FileError};
use crate::options::Options;

/// Mode of the file: root's own.
const MODE: u32 = 0o600;

/// The notes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Notes {
    /// The unit leaves or has left: nothing may start its service again.
    pub leaving: Option<Leaving>,
    /// Where the member's data are. Chosen once: data do not move by themselves.
    pub data_dir: Option<PathBuf>,
    /// What the service was last started with and got on with.
    pub running: Option<Generation>,
    /// The options that `running` was made from: what a bad one falls back to.
    pub options: Option<Options>,
    /// True once the member was ready with `running`: it is worth going back to.
    pub is_proven: bool,
    /// What did not work; not tried again until something in it changes.
    pub refused: Option<RefusedGeneration>,
    /// A release that could not be fetched; not tried again until the options change.
    pub refused_source: Option<RefusedSource>,
    /// A source that did not answer; tried again a while later.
    pub unreachable: Option<UnreachableSource>,
    /// The release that was fetched for a source.
    pub fetched: Option<Fetched>,
    /// Release that a person rolled back from; not taken again until another is wanted.
    pub held_back: Option<String>,
    /// The carried agent and its release id, so that it is not read in every hook.
    pub carried: Option<Carried>,
    /// Peer URLs that were seen: somebody to ask when the databag is empty.
    pub seeds: BTreeSet<String>,
    /// Since when a member has had no unit, seconds since 1970, by member name.
    pub gone_since_s: BTreeMap<String, u64>,
}

/// Why the unit left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// The unit is being removed.
    Removed,
    /// Its storage goes or went; it may come back.
    Storage,
}

/// Everything a start of the service depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Id of the release.
    pub release: String,
    /// Text of `member.env`.
    pub member_env: String,
    /// Text of the service's unit file.
    pub unit_file: String,
}

/// A generation that did not become ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedGeneration {
    /// Which.
    pub generation: Generation,
    /// The line for the status.
    pub message: String,
}

/// A source of a release that failed for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedSource {
    /// Address and sum, or the resource's.
    pub source: String,
    /// The line for the status.
    pub message: String,
}

/// A source of a release that did not answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachableSource {
    /// As in [`RefusedSource::source`].
    pub source: String,
    /// The line for the status.
    pub message: String,
    /// When it was tried, seconds since 1970.
    pub at_s: u64,
}

/// A source and the release that came from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetched {
    /// As in [`RefusedSource::source`].
    pub source: String,
    /// Id of the release.
    pub id: String,
}

/// A look at the carried agent's file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Carried {
    /// Size, time of change and inode: equal means not touched.
    pub stamp: (u64, i64, i64, u64),
    /// The id of its content.
    pub id: String,
}

/// The folder the notes are in.
#[derive(Debug, Clone)]
pub struct Notebook(PathBuf);

impl Notebook {
    /// The notebook in `folder`.
    pub fn new(folder: &Path) -> Self {
        Self(folder.join("state.json"))
    }

    /// The notes; empty ones when there are none, or when they are of a release that wrote them
    /// otherwise: they can be done without.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn read(&self) -> Result<Notes, FileError> {
        let text = files::read(&self.0)?.unwrap_or_default();
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Writes them.
    ///
    /// # Errors
    ///
    /// When that cannot be done.
    pub fn write(&self, notes: &Notes) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(notes).expect("notes are always JSON");
        files::write(&self.0, &text, MODE).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let notebook = Notebook::new(dir.path());
        assert_eq!(notebook.read().unwrap(), Notes::default());
        let notes = Notes {
            leaving: Some(Leaving::Storage),
            seeds: ["http://10.0.0.1:2380".to_owned()].into(),
            gone_since_s: [("etcd-1".to_owned(), 7)].into(),
            ..Notes::default()
        };
        notebook.write(&notes).unwrap();
        assert_eq!(notebook.read().unwrap(), notes);
    }
}
