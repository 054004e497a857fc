//! The peer relation exists: the founder can be named.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("cluster", RelationEvent::Created))
}
