//! The charm directory holds another revision, maybe with another agent.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::UpgradeCharm)
}
