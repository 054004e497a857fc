//! A client goes; the others are told what is new.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("client", RelationEvent::Departed))
}
