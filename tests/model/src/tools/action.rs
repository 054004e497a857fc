//! Tools of actions.

use serde_json::json;

use super::{Job, Outcome, Stop, failed, usage};
use crate::context::ActionRun;

const DEFAULT_FAILURE: &str = "action failed without reason given, check action for errors";
const RESERVED: &[&str] = &["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

fn running<'a>(job: &'a mut Job<'_>) -> Result<&'a mut ActionRun, Stop> {
    match &mut job.context.action {
        Some(action) => Ok(action),
        None => failed("not running an action"),
    }
}

pub(super) fn get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output"])?;
    args.at_most(1)?;
    let params = json!(running(job)?.params);
    let path = args.rest.first().map(String::as_str).unwrap_or_default();
    let value =
        path.split('.').filter(|part| !part.is_empty()).fold(&params, |value, part| &value[part]);
    args.print(value, "smart")
}

pub(super) fn set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    let action = running(job)?;
    let mut results = Vec::new();
    for arg in &args.rest {
        let Some((key, value)) = arg.split_once('=') else {
            return usage(format!("argument \"{arg}\" must be of the form key...=value"));
        };
        if RESERVED.contains(&key) {
            return failed(format!("cannot set reserved action key \"{key}\""));
        }
        if let Some(part) = key.split('.').find(|part| !is_key(part)) {
            return failed(format!(
                "key \"{part}\" must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens"
            ));
        }
        results.push((key.to_owned(), value.to_owned()));
    }
    action.results.extend(results);
    Ok(String::new())
}

fn is_key(part: &str) -> bool {
    let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = part.as_bytes();
    bytes.first().copied().is_some_and(is_plain)
        && bytes.last().copied().is_some_and(is_plain)
        && bytes.iter().all(|c| is_plain(*c) || *c == b'-')
}

pub(super) fn fail(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    args.at_most(1)?;
    running(job)?.failure =
        Some(args.rest.first().cloned().unwrap_or_else(|| DEFAULT_FAILURE.into()));
    Ok(String::new())
}

pub(super) fn log(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    if args.rest.is_empty() {
        return usage("no message specified");
    }
    running(job)?.log.push(args.rest.join(" "));
    Ok(String::new())
}
