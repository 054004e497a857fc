//! The relation ends; the other ones are told what is new.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("proxy", RelationEvent::Broken))
}
