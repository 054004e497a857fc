//! The last hook: removes what is the unit's own on the machine, except for data.

use std::process::ExitCode;

fn main() -> ExitCode {
    hooks::run(juju::Hook::Remove)
}
