//! Which files the charm consists of.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::Result;

use super::build::{Executables, architecture};
use super::{descriptors, portable};
use crate::step::root;

/// Mode of what Juju or the charm runs. Juju repairs modes below hooks/ only, so the archive has to
/// carry them.
pub(crate) const MODE_PROGRAM: u32 = 0o755;
/// Mode of everything else.
pub(crate) const MODE_DATA: u32 = 0o644;

/// Files that are the same in the repository and in the charm.
const COPIED: [&str; 6] =
    ["LICENSE", "README.md", "actions.yaml", "config.yaml", "icon.svg", "metadata.yaml"];

/// Juju shows this many characters of the file `version`.
const VERSION_CHARACTERS_MAX: usize = 100;

/// One file of the charm.
pub(crate) struct File {
    /// Path in the charm, with `/`.
    pub(crate) path: String,
    /// What is in it.
    pub(crate) content: Content,
}

/// Where a file's bytes come from.
pub(crate) enum Content {
    /// A built executable.
    Program(PathBuf),
    /// A file of the repository.
    Copy(PathBuf),
    /// Made here.
    Text(String),
}

impl File {
    /// Permission bits.
    pub(crate) fn mode(&self) -> u32 {
        if matches!(self.content, Content::Program(_)) { MODE_PROGRAM } else { MODE_DATA }
    }

    /// Refuses a program that would not start on every base of the manifest.
    pub(crate) fn check(&self) -> Result<()> {
        match &self.content {
            Content::Program(file) => portable::check(&self.path, file),
            Content::Copy(_) | Content::Text(_) => Ok(()),
        }
    }
}

/// All files, sorted by path.
pub(crate) fn plan(built: &Executables) -> Result<Vec<File>> {
    let manifest = descriptors::manifest_for(&root(), architecture()?)?;
    let mut files = vec![
        text("manifest.yaml", manifest),
        text("version", format!("{}\n", version())),
        program("bin", "quorate", &built.member),
        program("bin", "quorate-release", &built.fetcher),
    ];
    files.extend(built.hooks.iter().map(|(name, file)| program("hooks", name, file)));
    files.extend(built.actions.iter().map(|(name, file)| program("actions", name, file)));
    files.extend(
        COPIED.iter().map(|name| File {
            path: (*name).to_owned(),
            content: Content::Copy(root().join(name)),
        }),
    );
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn text(path: &str, content: String) -> File {
    File { path: path.to_owned(), content: Content::Text(content) }
}

fn program(directory: &str, name: &str, file: &Path) -> File {
    File { path: format!("{directory}/{name}"), content: Content::Program(file.to_owned()) }
}

/// What `juju status --format yaml` shows as the charm's version: the revision of the source.
fn version() -> String {
    let described = Command::new("git")
        .args(["describe", "--tags", "--always", "--dirty"])
        .current_dir(root())
        .stderr(Stdio::null())
        .output();
    let text = match described {
        Ok(output) if output.status.success() => String::from_utf8(output.stdout).ok(),
        _ => None,
    };
    let text = text.map(|text| text.trim().chars().take(VERSION_CHARACTERS_MAX).collect());
    text.filter(|text: &String| !text.is_empty()).unwrap_or_else(|| "dev".to_owned())
}
