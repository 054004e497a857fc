//! What must hold before a change is looked at.

use std::process::ExitCode;

use anyhow::Result;

use crate::step::{cargo, has_cargo, must};

/// Subcommand, its arguments, and where it comes from.
const CHECKS: [(&str, &[&str], &str); 3] = [
    ("fmt", &["--all", "--check"], "rustup component add rustfmt"),
    (
        "clippy",
        &["--workspace", "--all-targets", "--locked", "--", "-D", "warnings"],
        "rustup component add clippy",
    ),
    ("deny", &["--locked", "check"], "cargo install cargo-deny"),
];

pub(crate) fn run() -> Result<ExitCode> {
    for (subcommand, args, source) in CHECKS {
        if has_cargo(subcommand) {
            must(cargo([subcommand]).args(args))?;
        } else {
            eprintln!("skipped: cargo {subcommand} is not installed ({source})");
        }
    }
    Ok(ExitCode::SUCCESS)
}
