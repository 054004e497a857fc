//! Storage for the data is there; a unit that had lost its own joins again.

use std::process::ExitCode;

use juju::{Hook, StorageEvent};

fn main() -> ExitCode {
    hooks::run(Hook::storage("data", StorageEvent::Attached))
}
