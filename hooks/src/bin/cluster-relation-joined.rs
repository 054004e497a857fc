//! Another unit came.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("cluster", RelationEvent::Joined))
}
