//! A client came: it is told who the members are.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("proxy", RelationEvent::Joined))
}
