//! What the program of an action does.

use std::process::ExitCode;

use hooks::Unit;
use juju::{Parameters, Tools};

use crate::outcome::{Failure, Outcome};

/// An action: the unit and its parameters in, results or a failure out.
pub type Action = fn(&Unit, &Parameters) -> Outcome;

/// Runs an action and hands its outcome to Juju; for the programs in `src/bin`.
///
/// A failure is Juju's to show: the program itself fails only when Juju's tools do.
pub fn run(action: Action) -> ExitCode {
    let unit = match Unit::from_process() {
        Ok(unit) => unit,
        Err(error) => return unreported(&error),
    };
    let outcome = match unit.tools.action_get() {
        Ok(parameters) => action(&unit, &parameters),
        Err(error) => return unreported(&error),
    };
    match report(&unit.tools, outcome) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => unreported(&error),
    }
}

fn report(tools: &Tools, outcome: Outcome) -> Result<(), juju::Error> {
    match outcome {
        Ok(results) => tools.action_set(&results),
        Err(Failure { message, results }) => {
            tools.action_set(&results)?;
            tools.action_fail(&message)
        }
    }
}

/// Juju puts standard error and the exit code into the results.
fn unreported(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("{error}");
    ExitCode::FAILURE
}
