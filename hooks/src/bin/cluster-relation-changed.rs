//! Another unit, or the Juju leader, said something new.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("cluster", RelationEvent::Changed))
}
