//! A unit goes: this one leaves the cluster, or another one's member may have to be removed.

use std::process::ExitCode;

use juju::{Hook, RelationEvent};

fn main() -> ExitCode {
    hooks::run(Hook::relation("cluster", RelationEvent::Departed))
}
