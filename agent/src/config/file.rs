//! The configuration file: YAML, of which JSON is a part.
//!
//! Keys are the flags' names, but for four sections in which etcd groups some of them. As in etcd
//! a number for a duration is nanoseconds and an unknown key does not stop the start; here it is
//! at least a warning.

use std::path::Path;

use serde_json::Value as Json;

use super::ReadFile;
use super::error::ConfigError;
use super::flags::{self, Flag, Kind};
use super::settings::{Settings, Source};

/// Larger files are a mistake: the sample with every key has 6 KiB.
const FILE_BYTES_MAX: usize = 1 << 20;

/// A section, and what stands before its keys to make a flag's name.
const SECTIONS: [(&str, &str); 4] = [
    ("client-transport-security", ""),
    ("peer-transport-security", "peer-"),
    ("discovery-config", "discovery-"),
    ("socket-options", "socket-"),
];

/// Keys of sections whose flags have another word in the middle.
const RENAMED: [(&str, &str); 3] = [
    ("allowed-hostname", "client-cert-allowed-hostname"),
    ("peer-allowed-cn", "peer-cert-allowed-cn"),
    ("peer-allowed-hostname", "peer-cert-allowed-hostname"),
];

/// Reads and flattens the file.
///
/// # Errors
/// When it cannot be read, is not a YAML mapping, or has a value of the wrong shape.
pub(super) fn parse(path: &str, read_file: ReadFile<'_>) -> Result<Settings, ConfigError> {
    let failed = |reason: String| ConfigError::File { path: path.to_owned(), reason };
    let text = read_file(Path::new(path)).map_err(|error| failed(error.to_string()))?;
    if text.len() > FILE_BYTES_MAX {
        return Err(failed(format!("larger than {FILE_BYTES_MAX} bytes")));
    }
    let document: Json =
        serde_yaml::from_str(&text).map_err(|error| failed(one_line(&error.to_string())))?;
    let mut settings = Settings::default();
    match document {
        Json::Null => {}
        Json::Object(keys) => {
            for (key, value) in &keys {
                top(&mut settings, path, key, value)?;
            }
        }
        _ => return Err(failed("expected a mapping of flag names to values".into())),
    }
    Ok(settings)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn top(settings: &mut Settings, path: &str, key: &str, value: &Json) -> Result<(), ConfigError> {
    let Some((_, prefix)) = SECTIONS.iter().find(|(section, _)| *section == key) else {
        return entry(settings, path, key, key, value);
    };
    match value {
        Json::Null => Ok(()),
        Json::Object(entries) => entries.iter().try_for_each(|(name, value)| {
            entry(settings, path, &format!("{key}.{name}"), &in_section(prefix, name), value)
        }),
        other => Err(ConfigError::Value {
            place: format!("key {key} in {path}"),
            value: other.to_string(),
            expected: "expected a mapping".into(),
            on_line: false,
        }),
    }
}

fn in_section(prefix: &str, key: &str) -> String {
    let name = if key.starts_with(prefix) { key.to_owned() } else { format!("{prefix}{key}") };
    let renamed = RENAMED.iter().find(|(from, _)| *from == name);
    renamed.map_or(name, |(_, to)| (*to).to_owned())
}

fn entry(
    settings: &mut Settings,
    path: &str,
    key: &str,
    name: &str,
    value: &Json,
) -> Result<(), ConfigError> {
    let Some(flag) = flags::find(name) else {
        settings.warnings.push(format!("unrecognized key {key} in {path}"));
        return Ok(());
    };
    let text = text(flag, value).ok_or_else(|| ConfigError::Value {
        place: format!("key {key} in {path}"),
        value: value.to_string(),
        expected: "expected one plain value or a list of them".into(),
        on_line: false,
    })?;
    // Samples list every key with nothing behind it: that is the default, not an empty name.
    if !text.is_empty() {
        settings.insert(flag.name, text, Source::Key { key: key.into(), path: path.into() });
    }
    Ok(())
}

/// The value as it would stand on the command line; `None` for a mapping.
fn text(flag: &Flag, value: &Json) -> Option<String> {
    Some(match value {
        Json::Null => String::new(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) if flag.kind == Kind::Duration => format!("{number}ns"),
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let texts: Option<Vec<String>> = items.iter().map(|item| text(flag, item)).collect();
            texts?.join(",")
        }
        Json::Object(_) => return None,
    })
}
