//! One call of a hook tool: its command line, its input, and how its answer is read.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result, STDERR_BYTES_MAX};
use crate::process::{self, Failure, Finished, Limits};

/// How much of an argument an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 80;

/// A call in the making.
pub(crate) struct Call<'a> {
    tool: &'static str,
    directory: Option<&'a Path>,
    arguments: Vec<OsString>,
    shown: Vec<String>,
    stdin: Option<Vec<u8>>,
    time_max: Duration,
    output_bytes_max: usize,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        tool: &'static str,
        directory: Option<&'a Path>,
        time_max: Duration,
        output_bytes_max: usize,
    ) -> Self {
        let (arguments, shown, stdin) = (Vec::new(), Vec::new(), None);
        Self { tool, directory, arguments, shown, stdin, time_max, output_bytes_max }
    }

    pub(crate) fn arg(self, argument: impl AsRef<OsStr>) -> Self {
        let shown = shorten(&argument.as_ref().to_string_lossy());
        self.arg_shown_as(argument, shown)
    }

    /// An argument that an error shows differently, because it holds a value.
    pub(crate) fn arg_shown_as(mut self, argument: impl AsRef<OsStr>, shown: String) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self.shown.push(shown);
        self
    }

    /// A name where an option could stand as well, for instance that of an endpoint.
    pub(crate) fn name(self, name: &str) -> Result<Self> {
        if name.is_empty() || name.starts_with('-') {
            let why =
                format!("`{}` is no name, give one that does not begin with `-`", shorten(name));
            return Err(Error::Invalid { tool: self.tool, why });
        }
        Ok(self.arg(name))
    }

    pub(crate) fn args(self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        arguments.into_iter().fold(self, Self::arg)
    }

    /// An option with a value, if there is one.
    pub(crate) fn option(self, option: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.arg(option).arg(value.to_string()),
            None => self,
        }
    }

    /// A map on standard input, for `--file -`.
    pub(crate) fn map_on_stdin(mut self, map: &BTreeMap<&str, &str>) -> Self {
        self.stdin = Some(yaml_map(map).into_bytes());
        self.args(["--file", "-"])
    }

    /// Runs the tool for its effect.
    pub(crate) fn done(self) -> Result<()> {
        self.bytes().map(drop)
    }

    /// Runs the tool and reads its output as JSON; empty output is `null`.
    ///
    /// `T` is an option wherever a tool may say null.
    pub(crate) fn json<T: DeserializeOwned>(self) -> Result<T> {
        let tool = self.tool;
        let bytes = self.bytes()?;
        let json = if bytes.trim_ascii().is_empty() { b"null" } else { bytes.as_slice() };
        // The message of serde_json names a position and a type. A value that has the wrong type
        // could be quoted in it, so it is never used to read the contents of a secret.
        serde_json::from_slice(json).map_err(|error| Error::NotUnderstood {
            tool,
            why: format!("not as expected: {error}"),
        })
    }

    /// Runs the tool and gives its output as it is.
    pub(crate) fn bytes(self) -> Result<Vec<u8>> {
        let tool = self.tool;
        if let Some(at) = self.arguments.iter().position(|a| a.as_encoded_bytes().contains(&0)) {
            let why = format!("argument {} contains a zero byte", at + 1);
            return Err(Error::Invalid { tool, why });
        }
        let mut command = match self.directory {
            Some(directory) => Command::new(directory.join(tool)),
            None => Command::new(tool),
        };
        command.args(&self.arguments);
        let limits = Limits {
            time_max: self.time_max,
            stdout_bytes_max: self.output_bytes_max,
            stderr_bytes_max: STDERR_BYTES_MAX,
        };
        match process::run(command, self.stdin, limits) {
            Ok(finished) => judged(tool, self.shown, finished),
            Err(Failure::NotRun(error)) => Err(not_run(tool, error)),
            Err(Failure::TooMuchOutput) => {
                Err(Error::TooMuchOutput { tool, bytes_max: limits.stdout_bytes_max })
            }
            Err(Failure::TimedOut) => Err(Error::TimedOut { tool, time_max: limits.time_max }),
        }
    }
}

fn judged(tool: &'static str, arguments: Vec<String>, finished: Finished) -> Result<Vec<u8>> {
    if finished.status.success() {
        return Ok(finished.stdout);
    }
    let stderr = String::from_utf8_lossy(&finished.stderr).trim().to_owned();
    Err(Error::Failed { tool, arguments, code: finished.status.code(), stderr })
}

fn not_run(tool: &'static str, source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::Missing { tool },
        _ => Error::NotRun { tool, source },
    }
}

fn shorten(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Control characters and line ends become spaces, several of them one.
pub(crate) fn one_line(text: &str) -> String {
    let is_gap = |c: char| c.is_control() || c.is_whitespace();
    text.split(is_gap).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// A map of strings as JSON that is YAML with the same meaning as well.
///
/// The tools read YAML, where JSON's strings differ in a few characters: YAML takes some as line
/// ends, which it folds, and refuses others as not printable. These are escaped, which both read
/// alike. (All are in the basic plane: `\u` with a pair of surrogates is what YAML does not know.)
fn yaml_map(map: &BTreeMap<&str, &str>) -> String {
    let json = serde_json::to_string(map).expect("a map of strings is always JSON");
    let mut yaml = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                yaml.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            _ => yaml.push(c),
        }
    }
    yaml
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_yaml_reads_differently_is_escaped() {
        let value = "a\u{85}b\u{2028}c\u{7f}\u{feff}ä😀\n";
        let yaml = yaml_map(&BTreeMap::from([("key", value)]));
        assert_eq!(yaml, "{\"key\":\"a\\u0085b\\u2028c\\u007f\\ufeffä😀\\n\"}");
        let back: BTreeMap<String, String> = serde_json::from_str(&yaml).unwrap();
        assert_eq!(back["key"], value);
    }

    #[test]
    fn messages_become_one_line_and_shown_arguments_are_cut() {
        assert_eq!(one_line("  a\n\tb\0c  d\r\n"), "a b c d");
        assert_eq!(shorten(&"ä".repeat(200)).chars().count(), SHOWN_CHARS_MAX + 1);
    }
}
