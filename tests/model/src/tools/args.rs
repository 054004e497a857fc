//! Flags as the agent's tools parse them, and the three output formats (juju-surface 3.1).

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Outcome, Stop, usage};

/// Parsed arguments: flags anywhere, `--` ends them.
#[derive(Debug, Default)]
pub(crate) struct Args {
    flags: BTreeMap<String, String>,
    pub rest: Vec<String>,
}

/// Short names.
const LONG_NAMES: &[(&str, &str)] =
    &[("r", "relation"), ("s", "storage"), ("l", "log-level"), ("a", "all"), ("o", "output")];

impl Args {
    /// Parses; `switches` are boolean flags, `flags` take a value.
    pub(crate) fn parse(args: &[String], switches: &[&str], flags: &[&str]) -> Result<Self, Stop> {
        let mut parsed = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            if arg == "--" {
                parsed.rest.extend(args.by_ref().cloned());
            } else if arg == "-" || !arg.starts_with('-') {
                parsed.rest.push(arg.clone());
            } else {
                let (name, value) = split(arg);
                let value = value.map(str::to_owned);
                if switches.contains(&name) {
                    let value = value.unwrap_or_else(|| "true".into());
                    parsed.flags.insert(name.into(), truth(arg, &value)?.to_string());
                } else if flags.contains(&name) {
                    let Some(value) = value.or_else(|| args.next().cloned()) else {
                        return usage(format!("option needs an argument: {arg}"));
                    };
                    parsed.flags.insert(name.into(), value);
                } else {
                    return usage(format!("option provided but not defined: {arg}"));
                }
            }
        }
        Ok(parsed)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }

    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.flag(name) == Some("true")
    }

    /// No more than this many arguments.
    pub(crate) fn at_most(&self, count: usize) -> Result<(), Stop> {
        match self.rest.get(count..) {
            Some(extra) if !extra.is_empty() => usage(format!(
                "unrecognized args: {}",
                serde_json::to_string(extra).unwrap_or_default()
            )),
            _ => Ok(()),
        }
    }

    /// Prints a value in the asked format.
    pub(crate) fn print(&self, value: &Value, default: &str) -> Outcome {
        match self.flag("format").unwrap_or(default) {
            "json" => Ok(format!("{value}\n")),
            "yaml" => yaml(value),
            "smart" if default == "smart" => smart(value),
            other => usage(format!(
                "invalid value \"{other}\" for option --format: unknown format \"{other}\""
            )),
        }
    }
}

fn split(arg: &str) -> (&str, Option<&str>) {
    let bare = arg.trim_start_matches('-');
    let (name, value) =
        bare.split_once('=').map_or((bare, None), |(name, value)| (name, Some(value)));
    let long = LONG_NAMES.iter().find(|(short, _)| *short == name).map_or(name, |(_, long)| long);
    (long, value)
}

fn truth(arg: &str, value: &str) -> Result<bool, Stop> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => usage(format!("invalid boolean value \"{value}\" for option {arg}")),
    }
}

fn yaml(value: &Value) -> Outcome {
    serde_yaml::to_string(value).map_err(|error| Stop::Failed(error.to_string()))
}

fn smart(value: &Value) -> Outcome {
    match value {
        Value::Null => Ok(String::new()),
        Value::Bool(value) => Ok(if *value { "True\n" } else { "False\n" }.into()),
        Value::String(text) => Ok(format!("{text}\n")),
        Value::Array(items) => items.iter().map(smart).collect(),
        Value::Object(_) => yaml(value),
        Value::Number(number) => Ok(format!("{number}\n")),
    }
}
