//! How each member and the cluster are.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::health)
}
