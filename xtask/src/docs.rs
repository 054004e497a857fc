//! Pages made from data. The tests that compare them with the data also write them.

use std::process::ExitCode;

use anyhow::Result;

use crate::step::{self, cargo};

pub(crate) fn run() -> Result<ExitCode> {
    let test = ["test", "--locked", "--package", "quorate-agent", "--lib"];
    let name = "the_flags_page_says_what_the_tables_say";
    step::run(cargo(test).arg(name).env("QUORATE_DOCS", "write"))
}
