//! What the three sources have in common: which flags were given, where, and as what text.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::flags::{self, Flag, Status};
use super::value::Value;

/// Where a setting came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A flag, by the name it was given under.
    Line(&'static str),
    Variable(String),
    /// The key with its section, and the file.
    Key {
        key: String,
        path: String,
    },
}

impl Source {
    /// The place in words, for a one-line error.
    fn describe(&self) -> String {
        match self {
            Self::Line(flag) => format!("flag --{flag}"),
            Self::Variable(name) => format!("environment variable {name}"),
            Self::Key { key, path } => format!("key {key} in {path}"),
        }
    }
}

#[derive(Clone, Debug)]
struct Setting {
    text: String,
    source: Source,
}

/// The settings given, by flag name, and the warnings collected on the way.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    given: BTreeMap<&'static str, Setting>,
    pub(super) warnings: Vec<String>,
}

impl Settings {
    /// Notes a setting; the last one counts.
    pub(super) fn insert(&mut self, flag: &'static str, text: String, source: Source) {
        self.given.insert(flag, Setting { text, source });
    }

    /// The flags given, in the order of the alphabet.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.given.keys().copied()
    }

    /// The text given for a flag.
    pub(super) fn text(&self, flag: &str) -> Option<&str> {
        self.given.get(flag).map(|setting| setting.text.as_str())
    }

    /// Whether the flag was given at all.
    pub(super) fn is_given(&self, flag: &str) -> bool {
        self.given.contains_key(flag)
    }

    /// Whether the settings come from a file; then none come from elsewhere.
    pub(super) fn are_from_file(&self) -> bool {
        self.given.values().any(|setting| matches!(setting.source, Source::Key { .. }))
    }

    /// The place a flag's value came from, in words.
    pub(super) fn place(&self, flag: &str) -> String {
        match self.given.get(flag) {
            Some(setting) => setting.source.describe(),
            None => format!("flag --{flag}"),
        }
    }

    /// The flag's value, or its default.
    ///
    /// # Errors
    /// When the text is malformed.
    pub(super) fn value(&self, flag: &Flag) -> Result<Value, ConfigError> {
        let text = self.text(flag.name).unwrap_or(flag.default);
        Value::parse(flag.kind, text).map_err(|expected| self.invalid(flag.name, expected))
    }

    /// The error for a flag whose value is not right.
    pub(super) fn invalid(&self, flag: &str, expected: String) -> ConfigError {
        let source = self.given.get(flag).map(|setting| &setting.source);
        ConfigError::Value {
            place: self.place(flag),
            value: self.text(flag).unwrap_or_default().to_owned(),
            expected,
            on_line: matches!(source, Some(Source::Line(_))),
        }
    }

    /// Settles every setting against its flag's status: aliases take their new name, what has no
    /// effect becomes a warning, what is not available an error unless it has its default value.
    pub(super) fn settle(&mut self) -> Result<(), ConfigError> {
        let names: Vec<&'static str> = self.given.keys().copied().collect();
        for flag in names.into_iter().filter_map(flags::find) {
            let value = self.value(flag)?;
            let is_default = Value::parse(flag.kind, flag.default).ok().as_ref() == Some(&value);
            let place = self.place(flag.name);
            match flag.status {
                Status::AliasOf(name) => self.rename(flag, name)?,
                Status::Works => {}
                _ if is_default => {}
                Status::Ignored(reason) => {
                    self.warnings.push(format!("{place} has no effect: {reason}"));
                }
                Status::Later(reason) | Status::Refused(reason) => {
                    return Err(ConfigError::Unavailable { place, reason: reason.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// Moves an earlier name's value to the current name, and settles it there.
    fn rename(&mut self, old: &Flag, name: &'static str) -> Result<(), ConfigError> {
        let place = self.place(old.name);
        self.warnings.push(format!("{place} is an earlier name: use --{name}"));
        let Some(new) = flags::find(name) else { return Ok(()) };
        if self.is_given(name) && self.value(old)? != self.value(new)? {
            return Err(ConfigError::AliasConflict { old: place, new: self.place(name) });
        }
        let Some(setting) = self.given.remove(old.name) else { return Ok(()) };
        // The source keeps the earlier name: a message must name what the person wrote.
        let mut alone = Self::default();
        alone.insert(name, setting.text, setting.source);
        alone.settle()?;
        self.warnings.append(&mut alone.warnings);
        self.given.append(&mut alone.given);
        Ok(())
    }
}
