//! What an action answers.

use std::collections::BTreeMap;

use hooks::agent::{AgentError, AgentStatus};
use hooks::{Error, Unit};

/// Results by key, as Juju takes them: words of `a-z`, `0-9` and hyphens.
pub type Results = BTreeMap<String, String>;

/// What an action comes to.
pub type Outcome = Result<Results, Failure>;

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line: why, and what to do.
    pub message: String,
    /// What is worth knowing all the same.
    pub results: Results,
}

impl Failure {
    /// A failure without results.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), results: Results::new() }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Results from pairs.
pub(crate) fn results<const N: usize>(pairs: [(&str, String); N]) -> Results {
    pairs.into_iter().map(|(key, text)| (key.to_owned(), text)).collect()
}

/// What the agent of the unit says; a failure when it does not answer.
pub(crate) fn status(unit: &Unit) -> Result<AgentStatus, Failure> {
    let agent = hooks::agent::Agent::new(&unit.paths);
    match agent.status() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err(not_answering(unit)),
        Err(error) => Err(refused(unit, "ask", error)),
    }
}

/// A request that the agent did not carry out.
pub(crate) fn refused(unit: &Unit, what: &str, error: AgentError) -> Failure {
    match error {
        AgentError::NotAnswering(_) => not_answering(unit),
        error if error.code() == "no-quorum" => Failure::new(format!(
            "cannot {what}: {error}; bring back the units that are down, juju status shows them"
        )),
        error => Failure::new(format!("cannot {what}: {error}")),
    }
}

fn not_answering(unit: &Unit) -> Failure {
    let service = unit.paths.service();
    Failure::new(format!(
        "the member of this unit does not answer: run the action on another unit, or see \
         journalctl -u {service}"
    ))
}
