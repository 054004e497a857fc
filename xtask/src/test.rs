//! Every test. The runner's own summary is the last thing printed.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::charm;
use crate::reference;
use crate::step::{self, cargo, has_cargo, must, target_dir};

/// Names the member under test to the product suites.
const BINARY: &str = "QUORATE_TEST_BINARY";
/// Names the unpacked charm under test to the charm's suites.
const CHARM: &str = "QUORATE_TEST_CHARM";
/// The package whose suites deploy the charm.
const CHARM_SUITES: &str = "quorate-model";

pub(crate) fn run(filter: &[String]) -> Result<ExitCode> {
    reference::provide();
    // The product suites start the member as a process; no test target builds it for them.
    must(&mut cargo(["build", "--locked", "--package", "quorate-agent"]))?;
    let binary = target_dir().join("debug").join("quorate");
    let mut command = runner();
    command
        .args(scope(filter))
        .args(filter)
        .env(BINARY, std::env::var_os(BINARY).unwrap_or(binary.into()));
    if deploys_charm(filter) {
        command.env(CHARM, unpacked_charm()?);
    }
    step::run(&mut command)
}

/// The charm the suites deploy: the one that was named, else one made, and packed, from what is
/// here.
fn unpacked_charm() -> Result<OsString> {
    if let Some(named) = std::env::var_os(CHARM) {
        return Ok(named);
    }
    let directory = target_dir().join("charm/tests");
    charm::write_tree(charm::Profile::Dev, &directory)?;
    charm::pack(charm::Profile::Dev, &directory)?;
    Ok(directory.into())
}

/// Whether the charm's suites may be among what the filter selects.
fn deploys_charm(filter: &[String]) -> bool {
    scope(filter).is_some() || filter.iter().any(|word| word.ends_with(CHARM_SUITES))
}

/// All crates, unless the filter names some.
fn scope(filter: &[String]) -> Option<&'static str> {
    let names_crate = |word: &String| word.starts_with("-p") || word.starts_with("--package");
    (!filter.iter().any(names_crate)).then_some("--workspace")
}

/// Documentation has no examples to run, so both runners leave it out.
fn runner() -> Command {
    if has_cargo("nextest") {
        return cargo(["nextest", "run", "--locked", "--no-fail-fast"]);
    }
    cargo(["test", "--locked", "--tests", "--no-fail-fast"])
}
