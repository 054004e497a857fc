//! The hook tools: arguments, outputs, errors and exit codes (juju-surface 3).

mod action;
mod args;
mod network;
mod relation;
pub(crate) mod secret;
mod status;
mod unit;

use std::path::Path;

use args::Args;
use serde_json::Value;

use crate::context::Context;
use crate::state::{Bag, State};
use crate::wire::{Answer, Request};

/// Why a tool does not exit 0.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Wrong flag or argument: exit code 2.
    Usage(String),
    /// Failed while running: exit code 1.
    Failed(String),
    /// The tool has to send its standard input.
    WantsStdin,
}

pub(crate) type Outcome = Result<String, Stop>;

pub(crate) fn usage<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Usage(text.into()))
}

pub(crate) fn failed<T>(text: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Failed(text.into()))
}

/// What a tool works with.
pub(crate) struct Job<'a> {
    pub state: &'a mut State,
    pub context: &'a mut Context,
    pub request: &'a Request,
}

/// Runs one tool.
pub(crate) fn run(state: &mut State, context: &mut Context, request: &Request) -> Answer {
    let mut job = Job { state, context, request };
    match dispatch(&mut job) {
        Ok(stdout) => Answer { stdout, ..Answer::default() },
        Err(Stop::Usage(text)) => {
            Answer { code: 2, stderr: format!("ERROR {text}\n"), ..Answer::default() }
        }
        Err(Stop::Failed(text)) => {
            Answer { code: 1, stderr: format!("ERROR {text}\n"), ..Answer::default() }
        }
        Err(Stop::WantsStdin) => Answer { wants_stdin: true, ..Answer::default() },
    }
}

fn dispatch(job: &mut Job<'_>) -> Outcome {
    match job.request.tool.as_str() {
        "config-get" => unit::config_get(job),
        "resource-get" => unit::resource_get(job),
        "storage-get" => unit::storage_get(job),
        "storage-list" => unit::storage_list(job),
        "storage-add" => unit::storage_add(job),
        "state-get" => unit::state_get(job),
        "state-set" => unit::state_set(job),
        "state-delete" => unit::state_delete(job),
        "juju-log" => unit::juju_log(job),
        "juju-reboot" => unit::juju_reboot(job),
        "credential-get" => failed("cannot get cloud specification: permission denied"),
        "is-leader" => unit::is_leader(job),
        "leader-get" => unit::leader_get(job),
        "leader-set" => unit::leader_set(job),
        "unit-get" => network::unit_get(job),
        "network-get" => network::network_get(job),
        "open-port" => network::port(job, true),
        "close-port" => network::port(job, false),
        "opened-ports" => network::opened_ports(job),
        "relation-ids" => relation::ids(job),
        "relation-list" => relation::list(job),
        "relation-get" => relation::get(job),
        "relation-set" => relation::set(job),
        "relation-model-get" => relation::model(job),
        "goal-state" => status::goal_state(job),
        "status-get" => status::get(job),
        "status-set" => status::set(job),
        "application-version-set" => status::version(job),
        "action-get" => action::get(job),
        "action-set" => action::set(job),
        "action-fail" => action::fail(job),
        "action-log" => action::log(job),
        tool if tool.starts_with("secret-") => secret::run(job),
        _ => failed("bad request: unknown command"),
    }
}

impl Job<'_> {
    /// The arguments by the tool's flags.
    pub(crate) fn args(&self, switches: &[&str], flags: &[&str]) -> Result<Args, Stop> {
        Args::parse(&self.request.args, switches, flags)
    }

    /// Text of a file named by the caller, `-` is its standard input.
    pub(crate) fn file(&self, name: &str) -> Result<String, Stop> {
        if name == "-" {
            return self.request.stdin.clone().ok_or(Stop::WantsStdin);
        }
        let path = Path::new(&self.request.dir).join(name);
        std::fs::read_to_string(&path)
            .map_err(|error| Stop::Failed(format!("open {}: {error}", path.display())))
    }

    /// A map of strings out of a YAML or JSON file.
    pub(crate) fn map_file(&self, name: &str) -> Result<Bag, Stop> {
        let text = self.file(name)?;
        let value: Value =
            serde_yaml::from_str(&text).map_err(|error| Stop::Failed(format!("yaml: {error}")))?;
        let Value::Object(map) = value else {
            return if value.is_null() {
                Ok(Bag::new())
            } else {
                failed("yaml: expected a map of strings")
            };
        };
        Ok(map.into_iter().map(|(key, value)| (key, scalar(&value))).collect())
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

/// `key=value` arguments.
pub(crate) fn pairs(args: &[String]) -> Result<Bag, Stop> {
    let mut found = Bag::new();
    for arg in args {
        match arg.split_once('=') {
            Some((key, value)) if !key.is_empty() => found.insert(key.into(), value.into()),
            _ => return usage(format!("expected \"key=value\", got \"{arg}\"")),
        };
    }
    Ok(found)
}
