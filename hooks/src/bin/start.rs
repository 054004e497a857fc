//! The unit is to run.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::Start)
}
