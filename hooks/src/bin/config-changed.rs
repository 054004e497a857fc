//! Options or addresses changed.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::ConfigChanged)
}
