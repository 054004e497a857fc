//! Pages made from data. The tests that compare them with the data also write them.

use std::process::ExitCode;

use anyhow::Result;

use crate::step::{self, cargo};

pub(crate) fn run() -> Result<ExitCode> {
    let test = ["test", "--locked", "--package", "quorate-agent", "--lib", "--"];
    let pages =
        ["the_flags_page_says_what_the_tables_say", "the_metrics_page_says_what_a_member_exports"];
    step::run(cargo(test).args(pages).env("QUORATE_DOCS", "write"))
}
