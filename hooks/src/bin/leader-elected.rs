//! This unit leads the application from now on.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::LeaderElected)
}
