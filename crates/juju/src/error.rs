//! What can go wrong when a hook tool is called.

use std::io;
use std::time::Duration;

/// Short for a result whose error is [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A hook tool did not do what was asked. Every text is one line and names the tool.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The tool does not exist: this Juju does not offer it, or nobody runs this inside a hook.
    #[error(
        "hook tool `{tool}` does not exist here: this Juju is too old (or too new) for it, or this \
         does not run inside a hook"
    )]
    Missing {
        /// Name of the tool.
        tool: &'static str,
    },
    /// The tool exists and the operating system would not start it or let us read it.
    #[error("hook tool `{tool}` could not be run: {source}")]
    NotRun {
        /// Name of the tool.
        tool: &'static str,
        /// What the operating system said.
        source: io::Error,
    },
    /// The tool ran and reported a failure.
    #[error("hook tool `{tool}{}` {}: {}", spaced(arguments), ending(*code), one_line(stderr))]
    Failed {
        /// Name of the tool.
        tool: &'static str,
        /// Its arguments for people: long ones are cut, values of results are left out. What goes
        /// through standard input or a file is never part of it.
        arguments: Vec<String>,
        /// Exit code; `None` when a signal ended the tool.
        code: Option<i32>,
        /// The tool's standard error, the first 16 KiB, as far as it is UTF-8.
        stderr: String,
    },
    /// The tool succeeded and its output is not what it should be.
    #[error("hook tool `{tool}` answered something this charm does not understand: {why}")]
    NotUnderstood {
        /// Name of the tool.
        tool: &'static str,
        /// What was expected and what came.
        why: String,
    },
    /// The tool wrote more than the limit; it was killed.
    #[error("hook tool `{tool}` wrote more than {bytes_max} bytes and was stopped")]
    TooMuchOutput {
        /// Name of the tool.
        tool: &'static str,
        /// The limit, in bytes.
        bytes_max: usize,
    },
    /// The tool did not end in time; it was killed. Whether it had its effect is not known.
    #[error("hook tool `{tool}` did not end within {} s and was stopped", time_max.as_secs_f64())]
    TimedOut {
        /// Name of the tool.
        tool: &'static str,
        /// The limit.
        time_max: Duration,
    },
    /// The call breaks a rule of Juju's; the tool was not run.
    #[error("hook tool `{tool}` was not called: {why}")]
    Invalid {
        /// Name of the tool.
        tool: &'static str,
        /// Which rule, and what to give instead.
        why: String,
    },
}

/// How much of a tool's standard error is kept, in bytes; the rest is read and dropped.
pub(crate) const STDERR_BYTES_MAX: usize = 16 * 1024;

impl Error {
    /// Name of the hook tool.
    pub fn tool(&self) -> &'static str {
        match self {
            Self::Missing { tool }
            | Self::NotRun { tool, .. }
            | Self::Failed { tool, .. }
            | Self::NotUnderstood { tool, .. }
            | Self::TooMuchOutput { tool, .. }
            | Self::TimedOut { tool, .. }
            | Self::Invalid { tool, .. } => tool,
        }
    }

    /// True when this Juju does not offer the tool: there is no such executable, or the agent
    /// behind the executable does not know the command.
    pub fn is_not_supported(&self) -> bool {
        match self {
            Self::Missing { .. } => true,
            Self::Failed { stderr, .. } => stderr.contains("unknown command"),
            _ => false,
        }
    }
}

fn spaced(arguments: &[String]) -> String {
    arguments.iter().map(|argument| format!(" {argument}")).collect()
}

fn ending(code: Option<i32>) -> String {
    match code {
        Some(code) => format!("failed with exit code {code}"),
        None => "was killed by a signal".to_owned(),
    }
}

fn one_line(stderr: &str) -> String {
    let lines: Vec<_> = stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.is_empty() { "it gave no reason".to_owned() } else { lines.join("; ") }
}
