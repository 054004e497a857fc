//! The alarms that are raised.

use std::process::ExitCode;

fn main() -> ExitCode {
    actions::run(actions::alarm_list)
}
