//! `rollback-release`.

use hooks::Unit;
use hooks::rollback::{RolledBack, roll_back_release};
use juju::Parameters;

use crate::outcome::{Failure, Outcome, results};

/// Runs the release that ran before, on this unit.
///
/// # Errors
///
/// When there is none, when it does not become ready (the current one runs again then), and when
/// another member is restarting.
pub fn rollback_release(unit: &Unit, _parameters: &Parameters) -> Outcome {
    match roll_back_release(unit)? {
        RolledBack::Refused(line) => Err(Failure::new(line)),
        RolledBack::Done { from, to } => Ok(results([
            (
                "output",
                format!(
                    "runs release {to} instead of {from}, which is not taken again until \
                     bin-source, source-sum or the resource change"
                ),
            ),
            ("from", from),
            ("to", to),
        ])),
    }
}
