//! Actions: their parameters and their results.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Tools, bounded, invalid};
use crate::call::one_line;
use crate::error::Result;
use crate::values::Parameters;

/// How many bytes the results of one call may have in all. Juju takes somewhat less than 1 MiB for a
/// whole action, and a single value has to fit one argument of a command line (128 KiB on Linux).
pub const RESULT_BYTES_MAX: usize = 120 * 1024;

/// Results that Juju fills itself.
const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

impl Tools {
    /// The action's parameters: `action-get --format=json`.
    pub fn action_get(&self) -> Result<Parameters> {
        let values: Option<Map<String, Value>> =
            self.call("action-get").arg("--format=json").json()?;
        Ok(Parameters::from_parameters(values.unwrap_or_default()))
    }

    /// Adds results, sent when the action ends, also when it fails: `action-set KEY=VALUE...`. The
    /// last one of a key counts. No tool is run when there are none.
    ///
    /// A key is words of lower-case letters, digits and hyphens, joined by dots, which make a nested
    /// result.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) also when a key breaks that rule, is one of Juju's
    /// own (`stdout`, `stderr`, ...) or would nest into another one of the same call, and when all
    /// are more than [`RESULT_BYTES_MAX`].
    pub fn action_set(&self, results: &BTreeMap<String, String>) -> Result<()> {
        if results.is_empty() {
            return Ok(());
        }
        check(results).map_err(|why| invalid("action-set", why))?;
        let pairs =
            results.iter().map(|(key, value)| (format!("{key}={value}"), format!("{key}=…")));
        let call = self.call("action-set");
        pairs.fold(call, |call, (argument, shown)| call.arg_shown_as(argument, shown)).done()
    }

    /// Marks the action as failed, with the reason and what to do: `action-fail -- MESSAGE`. Does
    /// not end the process.
    pub fn action_fail(&self, message: &str) -> Result<()> {
        self.call("action-fail").args(["--", &bounded(&one_line(message))]).done()
    }

    /// Tells the person who waits for the action how it goes, at once: `action-log -- MESSAGE`.
    pub fn action_log(&self, message: &str) -> Result<()> {
        self.call("action-log").args(["--", &bounded(&one_line(message))]).done()
    }
}

fn check(results: &BTreeMap<String, String>) -> std::result::Result<(), String> {
    for key in results.keys() {
        let mut words = key.split('.');
        if words.clone().any(|word| !is_word(word)) {
            return Err(format!("`{key}` is no key of a result, use a-z, 0-9 and hyphens"));
        }
        if words.next().is_some_and(|first| RESERVED.contains(&first)) {
            return Err(format!("`{key}` is a result of Juju's own, use another key"));
        }
        let parents = key.match_indices('.').map(|(dot, _)| &key[..dot]);
        if let Some(parent) = parents.into_iter().find(|parent| results.contains_key(*parent)) {
            return Err(format!("`{key}` nests into `{parent}`, which is a value already"));
        }
    }
    let bytes: usize = results.iter().map(|(key, value)| key.len() + value.len() + 1).sum();
    if bytes > RESULT_BYTES_MAX {
        return Err(format!("the results have {bytes} bytes, at most {RESULT_BYTES_MAX} are sent"));
    }
    Ok(())
}

/// `[a-z0-9]([a-z0-9-]*[a-z0-9])?`
fn is_word(word: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !word.is_empty()
        && word.bytes().all(|byte| is_letter(byte) || byte == b'-')
        && !word.starts_with('-')
        && !word.ends_with('-')
}
