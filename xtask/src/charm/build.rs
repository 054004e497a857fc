//! What the charm carries, built.
//!
//! The store and the fetcher are built exactly as they are measured: profile `release`. Hooks and
//! actions are some thirty programs that run for milliseconds, so size is what counts: profile
//! `small` of the workspace.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::quiet::quiet;
use crate::step::{cargo, must, on_path, root, target_dir};

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Profile {
    /// What is deployed.
    Release,
    /// What tests use: quick to build.
    Dev,
}

/// Where the built, stripped executables are.
pub(crate) struct Executables {
    /// Name and file of each hook.
    pub(crate) hooks: Vec<(String, PathBuf)>,
    /// Name and file of each action.
    pub(crate) actions: Vec<(String, PathBuf)>,
    /// The store.
    pub(crate) member: PathBuf,
    /// The fetcher of releases.
    pub(crate) fetcher: PathBuf,
}

/// Debian's and Juju's name of the architecture this machine builds for.
///
/// # Errors
/// When the charm's manifest has no base for it.
pub(crate) fn architecture() -> Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => {
            bail!("{other} machines have no base in manifest.yaml; build on x86_64 or aarch64")
        }
    }
}

/// Builds everything the charm carries.
pub(crate) fn build(profile: Profile) -> Result<Executables> {
    let (large, small) = match profile {
        Profile::Release => ("release", "small"),
        Profile::Dev => ("debug", "debug"),
    };
    let mut arguments = profile_arguments(large);
    arguments.extend(["--package", "quorate-agent", "--package", "quorate-release", "--bins"]);
    must(&mut cargo(arguments))?;
    let mut arguments = profile_arguments(small);
    arguments.extend(["--package", "quorate-hooks", "--package", "quorate-actions", "--bins"]);
    must(&mut cargo(arguments))?;
    Ok(Executables {
        hooks: stripped_all(small, program_names("hooks")?)?,
        actions: stripped_all(small, program_names("actions")?)?,
        member: stripped(large, "quorate")?,
        fetcher: stripped(large, "quorate-release")?,
    })
}

/// Builds the store alone.
pub(crate) fn member(profile: Profile) -> Result<PathBuf> {
    let directory = if profile == Profile::Dev { "debug" } else { "release" };
    let mut arguments = profile_arguments(directory);
    arguments.extend(["--package", "quorate-agent", "--bins"]);
    must(&mut cargo(arguments))?;
    stripped(directory, "quorate")
}

fn profile_arguments(directory: &str) -> Vec<&str> {
    let mut arguments = vec!["build", "--locked"];
    match directory {
        "debug" => (),
        "small" => arguments.extend(["--profile", "small"]),
        _ => arguments.push("--release"),
    }
    arguments
}

/// Names of a package's programs: one file each in its src/bin, named as Juju names the hook or
/// action.
pub(crate) fn program_names(package: &str) -> Result<Vec<String>> {
    let directory = root().join(package).join("src/bin");
    let files = fs::read_dir(&directory)
        .with_context(|| format!("no programs in {}", directory.display()))?;
    let mut names = Vec::new();
    for file in files {
        let path = file?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let stem = path.file_stem().unwrap_or_default();
            names.push(stem.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn stripped_all(directory: &str, names: Vec<String>) -> Result<Vec<(String, PathBuf)>> {
    names.into_iter().map(|name| Ok((name.clone(), stripped(directory, &name)?))).collect()
}

/// A copy of a built program without symbols and debug information, which are most of its bytes.
fn stripped(directory: &str, name: &str) -> Result<PathBuf> {
    let built = target_dir().join(directory).join(name);
    let place = target_dir().join("charm/stripped").join(directory);
    fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
    let copy = place.join(name);
    if is_newer(&copy, &built) {
        return Ok(copy);
    }
    let Some(strip) = on_path("strip") else {
        bail!("no strip on the PATH; install binutils, which comes with every C compiler");
    };
    // Beside and renamed: another run may be reading the copy.
    let part = place.join(format!(".{name}.{}", std::process::id()));
    quiet(std::process::Command::new(strip).arg("-o").arg(&part).arg(&built))?;
    fs::rename(&part, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
    Ok(copy)
}

fn is_newer(copy: &Path, original: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|data| data.modified());
    matches!((changed(copy), changed(original)), (Ok(copy), Ok(original)) if copy > original)
}
