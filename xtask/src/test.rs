//! Every test. The runner's own summary is the last thing printed.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::reference;
use crate::step::{self, cargo, has_cargo, must, target_dir};

/// Names the member under test to the product suites.
const BINARY: &str = "QUORATE_TEST_BINARY";

pub(crate) fn run(filter: &[String]) -> Result<ExitCode> {
    reference::provide();
    // The product suites start the member as a process; no test target builds it for them.
    must(&mut cargo(["build", "--locked", "--package", "quorate-agent"]))?;
    let binary = target_dir().join("debug").join("quorate");
    step::run(
        runner()
            .args(scope(filter))
            .args(filter)
            .env(BINARY, std::env::var_os(BINARY).unwrap_or(binary.into())),
    )
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
