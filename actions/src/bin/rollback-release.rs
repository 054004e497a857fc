//! Runs the release that ran before.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::rollback_release)
}
