//! Which binaries there are to test: ours, and every real etcd that was named.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The etcd version a server claims; its dialect follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3, so far.
    pub major: u32,
    /// The release line.
    pub minor: u32,
    /// The patch.
    pub patch: u32,
}

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The product.
    Ours,
    /// Real etcd.
    Etcd,
}

/// A server binary that takes etcd's flags.
#[derive(Clone, Debug)]
pub struct Server {
    /// The executable.
    pub path: PathBuf,
    /// Whose it is.
    pub kind: Kind,
    /// What it claims to be with `--version`.
    pub version: Version,
}

impl Server {
    /// The product's member: `QUORATE_TEST_BINARY`, else `quorate` beside the test executable's
    /// profile directory. `Err` says how to build it.
    pub fn ours() -> Result<Self, String> {
        let path = match env::var_os("QUORATE_TEST_BINARY") {
            Some(path) => PathBuf::from(path),
            None => beside_test_executable("quorate"),
        };
        if !path.is_file() {
            return Err(format!(
                "{} does not exist: run `cargo xtask test`, or build `quorate`, or set QUORATE_TEST_BINARY",
                path.display()
            ));
        }
        Self::at(path, Kind::Ours)
    }

    /// Every real etcd: `QUORATE_TEST_REFERENCE`, else `etcd` on the PATH; empty when there is none.
    pub fn references() -> Vec<Self> {
        let named = env::var_os("QUORATE_TEST_REFERENCE")
            .map(|paths| env::split_paths(&paths).collect::<Vec<_>>());
        let paths = named.unwrap_or_else(|| on_path("etcd").into_iter().collect());
        paths.into_iter().filter_map(|path| Self::at(path, Kind::Etcd).ok()).collect()
    }

    /// `ours` or `etcd-3.4`: how tests are named after it.
    pub fn label(&self) -> String {
        match self.kind {
            Kind::Ours => "ours".to_owned(),
            Kind::Etcd => format!("etcd-{}.{}", self.version.major, self.version.minor),
        }
    }

    /// Whether it speaks the dialect of `major.minor` or later.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        (self.version.major, self.version.minor) >= (major, minor)
    }

    /// The flag that sets the interval of watch progress notifications; it lost its prefix in 3.6.
    pub fn progress_interval_flag(&self, interval: &str) -> String {
        let prefix = if self.at_least(3, 6) { "" } else { "experimental-" };
        format!("--{prefix}watch-progress-notify-interval={interval}")
    }

    fn at(path: PathBuf, kind: Kind) -> Result<Self, String> {
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .map_err(|error| format!("{}: {error}", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("etcd Version: "))
            .and_then(parse_version)
            .ok_or_else(|| {
                format!(
                    "{} --version does not start with `etcd Version: X.Y.Z`: {text:?}",
                    path.display()
                )
            })?;
        Ok(Self { path, kind, version })
    }
}

/// The etcdctl to run scripts with, if there is one.
pub fn etcdctl() -> Option<PathBuf> {
    match env::var_os("QUORATE_TEST_ETCDCTL") {
        Some(path) => Some(PathBuf::from(path)),
        None => on_path("etcdctl"),
    }
}

fn parse_version(text: &str) -> Option<Version> {
    let plain = text.trim().split(['-', '+']).next()?;
    let mut parts = plain.split('.').map(|part| part.parse().ok());
    Some(Version { major: parts.next()??, minor: parts.next()??, patch: parts.next()?? })
}

/// Test executables live in `target/<profile>/deps`, binaries in `target/<profile>`.
fn beside_test_executable(name: &str) -> PathBuf {
    let executable = env::current_exe().expect("a process knows its executable");
    let profile = executable.parent().and_then(Path::parent).expect("target/<profile>/deps/<test>");
    profile.join(name)
}

fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?)
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_and_ignore_suffixes() {
        let old = parse_version("3.4.23\n").unwrap();
        let new = parse_version("3.10.0-rc.1").unwrap();
        assert!(old < new);
        assert_eq!(parse_version("3.x.1"), None);
    }
}
