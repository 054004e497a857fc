//! The hook tools, one method each.

mod action;
mod config;
mod goal;
mod log;
mod network;
mod port;
mod reboot;
mod relation;
mod secret;
mod secret_files;
mod state;
mod status;
mod storage;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::call::Call;
use crate::error::{Error, Result};

pub use action::RESULT_BYTES_MAX;
pub use config::RESOURCE_TIME_MAX;
pub use goal::{Goal, GoalState};
pub use log::Level;
pub use network::{AddressKind, Interface, InterfaceAddress, Network};
pub use port::{Port, Protocol};
pub use reboot::Reboot;
pub use relation::{Bag, Changes};
pub use secret::{Rotation, SecretContent, SecretInfo, SecretOptions, SecretRef, SecretView};
pub use status::{ApplicationStatus, ReportedStatus, Status};
pub use storage::Storage;

/// How long a tool may take. A tool that waits for the controller takes milliseconds; one that has
/// not answered after this long will not.
pub const CALL_TIME_MAX: Duration = Duration::from_secs(60);

/// How many bytes a tool may write. Juju's own limits for one databag and one document are below.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How many characters of a status or log message are sent; what is longer is cut and ends in `…`.
pub const MESSAGE_CHARS_MAX: usize = 2000;

/// The hook tools that Juju puts on `PATH`.
///
/// A value of this type only says how to run them. It holds no answers: each method is one process
/// and tells what is so now. All methods return [`Error`] and share its cases: missing, failed,
/// not understood, too much output, timed out; what they add is said at the method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tools {
    directory: Option<PathBuf>,
    scratch: Option<PathBuf>,
    time_max: Duration,
    output_bytes_max: usize,
}

/// Whose data, status or secret: the unit's or the application's.
///
/// Only the Juju leader may write what is the application's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Of this unit.
    Unit,
    /// Of the application.
    App,
}

impl Default for Tools {
    fn default() -> Self {
        Self::new()
    }
}

impl Tools {
    /// The tools found on `PATH`, as in a hook.
    pub fn new() -> Self {
        Self {
            directory: None,
            scratch: None,
            time_max: CALL_TIME_MAX,
            output_bytes_max: OUTPUT_BYTES_MAX,
        }
    }

    /// The tools in `directory` and nowhere else.
    pub fn in_directory(directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..Self::new() }
    }

    /// Makes each call end within `time_max` ([`CALL_TIME_MAX`] otherwise).
    #[must_use]
    pub fn with_time_max(self, time_max: Duration) -> Self {
        Self { time_max, ..self }
    }

    /// Bounds the output of each call ([`OUTPUT_BYTES_MAX`] otherwise).
    #[must_use]
    pub fn with_output_bytes_max(self, output_bytes_max: usize) -> Self {
        Self { output_bytes_max, ..self }
    }

    /// Puts the short-lived files that carry secrets to the tools below `directory` (the system's
    /// directory for temporary files otherwise). They are readable by their owner only.
    #[must_use]
    pub fn with_scratch(self, directory: impl Into<PathBuf>) -> Self {
        Self { scratch: Some(directory.into()), ..self }
    }

    fn call(&self, tool: &'static str) -> Call<'_> {
        self.call_within(tool, self.time_max)
    }

    fn call_within(&self, tool: &'static str, time_max: Duration) -> Call<'_> {
        Call::new(tool, self.directory.as_deref(), time_max, self.output_bytes_max)
    }

    fn scratch(&self) -> PathBuf {
        self.scratch.as_deref().map_or_else(std::env::temp_dir, Path::to_path_buf)
    }

    /// Whether this unit is the Juju leader: `is-leader --format=json`.
    ///
    /// True holds for 30 s from the call. What is written as leader is checked again when the hook
    /// ends. [`Error::is_not_supported`] tells a Juju without leader election.
    pub fn is_leader(&self) -> Result<bool> {
        self.call("is-leader").arg("--format=json").json()
    }
}

/// Cuts a message to what is sent.
fn bounded(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &message[..end]),
        None => message.to_owned(),
    }
}

fn invalid(tool: &'static str, why: String) -> Error {
    Error::Invalid { tool, why }
}
