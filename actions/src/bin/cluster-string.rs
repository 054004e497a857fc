//! The members as a proxy takes them.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::cluster_string)
}
