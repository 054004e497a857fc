//! A client came: it is told where this unit is.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("client", RelationEvent::Joined))
}
