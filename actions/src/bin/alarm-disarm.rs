//! Takes all alarms back.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::alarm_disarm)
}
