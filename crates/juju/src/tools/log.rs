//! Juju's log.

use std::fmt;

use super::{Tools, bounded};
use crate::error::Result;

/// How important a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// `TRACE`
    Trace,
    /// `DEBUG`
    Debug,
    /// `INFO`
    Info,
    /// `WARNING`
    Warning,
    /// `ERROR`
    Error,
    /// `CRITICAL`
    Critical,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        })
    }
}

impl Tools {
    /// Writes to Juju's log at once: `juju-log --log-level LEVEL -- MESSAGE`. The message is cut at
    /// [`MESSAGE_CHARS_MAX`](super::MESSAGE_CHARS_MAX) characters.
    pub fn juju_log(&self, level: Level, message: &str) -> Result<()> {
        let message = bounded(&message.replace('\0', " "));
        self.call("juju-log").args(["--log-level", &level.to_string(), "--", &message]).done()
    }
}
