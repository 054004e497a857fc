//! `compact` and `defrag`: space.

use hooks::Unit;
use hooks::agent::{Agent, AgentError};
use juju::Parameters;
use serde_json::Value;

use crate::outcome::{Failure, Outcome, refused, results, status};

/// Forgets history up to parameter `revision`, or the current one; with `physical` waits until it
/// is gone from the database.
///
/// # Errors
///
/// When the revision is gone already or does not exist yet, and without a majority.
pub fn compact(unit: &Unit, parameters: &Parameters) -> Outcome {
    let bad = |error: juju::Error| Failure::new(error.to_string());
    let revision = match parameters.int("revision").map_err(bad)? {
        None => None,
        Some(revision) => Some(
            u64::try_from(revision)
                .ok()
                .filter(|revision| *revision > 0)
                .ok_or_else(|| Failure::new(format!("revision is {revision}: give 1 or more")))?,
        ),
    };
    let is_physical = parameters.bool("physical").map_err(bad)?.unwrap_or(false);
    let answer = Agent::new(&unit.paths)
        .compact(revision, is_physical)
        .map_err(|error| not_compacted(unit, error))?;
    let revision = number(&answer, "revision");
    Ok(results([
        ("output", format!("compacted revision {revision}")),
        ("revision", revision),
        ("physical", is_physical.to_string()),
    ]))
}

/// A revision that the store does not have is answered with the newest one it has.
fn not_compacted(unit: &Unit, error: AgentError) -> Failure {
    let newest = match error.code() {
        "out-of-range" => status(unit).ok().map(|status| status.revision),
        _ => None,
    };
    let mut failure = refused(unit, "compact", error);
    if let Some(newest) = newest {
        failure.message += &format!(
            "; give a revision that is not compacted yet, up to {newest}, or none for the current"
        );
    }
    failure
}

/// Has this unit's member write everything to its database, and tells the size of that. The store
/// uses freed space again by itself and rewrites nothing.
///
/// # Errors
///
/// When the member does not answer or its disk fails.
pub fn defrag(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let answer =
        Agent::new(&unit.paths).defragment().map_err(|error| refused(unit, "defragment", error))?;
    let (before, after) = (number(&answer, "bytes_before"), number(&answer, "bytes_after"));
    Ok(results([
        ("output", format!("Finished defragmenting etcd member: {after} bytes, {before} before")),
        ("bytes-before", before),
        ("bytes-after", after),
    ]))
}

fn number(answer: &Value, key: &str) -> String {
    answer.get(key).map_or_else(|| "unknown".to_owned(), Value::to_string)
}
