//! Gives free space back to the file system.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::defrag)
}
