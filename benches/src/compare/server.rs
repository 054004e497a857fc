//! A server that takes part: which, and where its program is.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde::Serialize;

use crate::compare::fetch;
use crate::compare::options::Options;

/// Who takes part. The order is that of the table's columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum ServerKind {
    /// Quorate.
    Ours,
    /// etcd 3.4: weak at reads and transactions, frugal otherwise.
    Etcd34,
    /// etcd 3.5: the quickest etcd in most cases.
    Etcd35,
}

impl ServerKind {
    /// Head of the column.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Etcd34 => "etcd 3.4",
            Self::Etcd35 => "etcd 3.5",
        }
    }

    /// Whether it is what we are measured against.
    pub fn is_etcd(self) -> bool {
        self != Self::Ours
    }
}

/// A program that is there and runs.
#[derive(Clone, Debug)]
pub struct Server {
    /// Which one.
    pub kind: ServerKind,
    /// Its program.
    pub program: PathBuf,
    /// First line of what it says to `--version`.
    pub version: String,
}

impl Server {
    /// Finds the program and asks for its version.
    ///
    /// # Errors
    /// Says which option helps when the program is not there.
    pub fn find(kind: ServerKind, options: &Options) -> Result<Self> {
        let (program, option) = match kind {
            ServerKind::Ours => (options.ours.clone(), "--ours"),
            ServerKind::Etcd34 => (options.etcd34.clone(), "--etcd34"),
            ServerKind::Etcd35 => match &options.etcd35 {
                Some(program) => (program.clone(), "--etcd35"),
                None => (fetch::etcd35()?, "--etcd35"),
            },
        };
        let version = version(&program).with_context(|| {
            let name = kind.label();
            format!(
                "{name} is missing: give its program with {option}, or leave it out of --servers"
            )
        })?;
        Ok(Self { kind, program, version })
    }
}

fn version(program: &Path) -> Result<String> {
    let asked = Command::new(program).arg("--version").output();
    let asked = asked.with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(asked.status.success(), "{} --version: {}", program.display(), asked.status);
    let text = String::from_utf8_lossy(&asked.stdout);
    Ok(text.lines().next().unwrap_or("unknown").to_owned())
}
