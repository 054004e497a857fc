//! Storage for the data goes: the member leaves while it still has them.

use std::process::ExitCode;

use juju::{Hook, StorageEvent};

fn main() -> ExitCode {
    hooks::run(Hook::storage("data", StorageEvent::Detaching))
}
