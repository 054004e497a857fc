//! Forgets old history.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::compact)
}
