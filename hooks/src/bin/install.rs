//! Brings the release to the machine; refuses a Juju without leader election.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::Install)
}
