//! charmcraft's own checks, which Charmhub applies too.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::{fs, io};

use anyhow::{Context, Result, bail};

use super::quiet::quiet;
use crate::step::{self, on_path, target_dir};

/// Seconds pip waits for the index to answer.
const INDEX_TIMEOUT_S: &str = "20";

/// Runs `charmcraft analyse`; its errors and warnings fail the command.
pub(crate) fn run(charm: &Path) -> Result<ExitCode> {
    let charmcraft = match provide() {
        Ok(charmcraft) => charmcraft,
        Err(error) => {
            eprintln!("skipped: charmcraft analyse: {error:#}");
            return Ok(ExitCode::SUCCESS);
        }
    };
    // It writes logs and state below the home directory; ours is none of its business.
    let home = target_dir().join("charmcraft/home");
    private(&home).with_context(|| format!("cannot make {}", home.display()))?;
    let mut command = Command::new(charmcraft);
    command.arg("analyse").arg(charm).env("HOME", &home).env("XDG_RUNTIME_DIR", &home);
    for variable in ["XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
        command.env_remove(variable);
    }
    step::run(&mut command)
}

/// A directory for its owner alone, which is what a run-time directory has to be.
fn private(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

/// charmcraft from the PATH, from an earlier run, or from the Python index.
fn provide() -> Result<PathBuf> {
    let place = target_dir().join("charmcraft/venv");
    let installed = place.join("bin/charmcraft");
    if let Some(program) = on_path("charmcraft") {
        return Ok(program);
    }
    if installed.is_file() {
        return Ok(installed);
    }
    let Some(python) = on_path("python3") else {
        bail!("no charmcraft and no python3 on the PATH; install one of them");
    };
    eprintln!("+ python3 -m venv {0} && {0}/bin/pip install charmcraft", place.display());
    quiet(Command::new(python).args(["-m", "venv"]).arg(&place))
        .context("cannot make a virtual environment (Debian: install python3-venv)")?;
    let pip = ["install", "--quiet", "--disable-pip-version-check", "--retries", "1"];
    quiet(Command::new(place.join("bin/pip")).args(pip).args([
        "--timeout",
        INDEX_TIMEOUT_S,
        "charmcraft",
    ]))
    .context("cannot install charmcraft from the Python index")?;
    Ok(installed)
}
