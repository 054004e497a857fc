//! A client said something: it is told where the cluster is.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("db", RelationEvent::Changed))
}
