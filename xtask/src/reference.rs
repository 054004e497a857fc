//! Real etcd, which many suites compare with: Debian's packages, where they may be installed.

use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::step::on_path;

/// What an executable comes in, and what cannot run without it.
struct Tool {
    executable: &'static str,
    variable: &'static str,
    package: &'static str,
    skipped: &'static str,
}

const TOOLS: [Tool; 2] = [
    Tool {
        executable: "etcdctl",
        variable: "QUORATE_TEST_ETCDCTL",
        package: "etcd-client",
        skipped: "quorate-tests::scripts (every case)",
    },
    Tool {
        executable: "etcd",
        variable: "QUORATE_TEST_REFERENCE",
        package: "etcd-server",
        skipped: "quorate-tests::scripts (every case), and the cases etcd-*:: of \
                  quorate-tests::wire and quorate-tests::web",
    },
];

/// Sees to it that real etcd is there, or says which suites go without.
pub(crate) fn provide() {
    let missing: Vec<&Tool> = TOOLS.iter().filter(|tool| !tool.is_there()).collect();
    if missing.is_empty() {
        return;
    }
    let reason = match install(&missing) {
        Ok(()) => "the package was installed without it".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    for tool in missing.into_iter().filter(|tool| !tool.is_there()) {
        eprintln!("skipped: {}: no {} ({reason})", tool.skipped, tool.executable);
        eprintln!("         install {}, or name the executable in {}", tool.package, tool.variable);
    }
}

impl Tool {
    fn is_there(&self) -> bool {
        env::var_os(self.variable).is_some() || on_path(self.executable).is_some()
    }
}

fn install(missing: &[&Tool]) -> Result<()> {
    if on_path("apt-get").is_none() {
        bail!("this machine has no apt-get");
    }
    if fs::metadata("/proc/self").map(|own| own.uid()).unwrap_or(u32::MAX) != 0 {
        bail!("only root may install packages");
    }
    let packages = missing.iter().map(|tool| tool.package);
    let names = packages.clone().collect::<Vec<_>>().join(" ");
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
            .context("the template is a constant")?,
    );
    eprintln!("+ apt-get install {names}");
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_message("apt-get update");
    // A stale index may still know the packages, so only the installation decides.
    let updated = apt(&["update"]);
    bar.set_message(format!("apt-get install {names}"));
    let args = ["install", "--yes", "--no-install-recommends"];
    let installed = apt(&args.into_iter().chain(packages).collect::<Vec<_>>());
    bar.finish_and_clear();
    installed.map_err(|error| match updated {
        Err(update) => error.context(update),
        Ok(()) => error,
    })
}

/// Runs apt-get without questions; its last line of complaint becomes the error.
fn apt(args: &[&str]) -> Result<()> {
    let output = Command::new("apt-get")
        .args(["--quiet", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // The server package would start a service on the ports of the member under development.
        .env("SYSTEMD_OFFLINE", "1")
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .output()
        .context("cannot run apt-get")?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = errors.lines().rfind(|line| line.starts_with("E:"));
    bail!("apt-get {}: {}", args[0], last.unwrap_or("failed"))
}
