//! The members.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::member_list)
}
