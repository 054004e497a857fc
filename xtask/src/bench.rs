//! This build beside etcd.

use std::process::ExitCode;

use anyhow::Result;

use crate::reference;
use crate::step::{self, cargo, must};

pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    reference::provide();
    must(&mut cargo(["build", "--release", "--locked", "--package", "quorate-agent"]))?;
    let compare = ["run", "--release", "--locked", "--package", "quorate-benches"];
    step::run(cargo(compare).args(["--bin", "compare", "--"]).args(args))
}
