//! The unit goes; without storage of its own this is where its member leaves.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::Stop)
}
