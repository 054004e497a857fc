//! What `juju status` shows of the workload.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Scope, Tools, bounded, invalid};
use crate::call::one_line;
use crate::error::Result;
use crate::names::UnitName;

/// A status that a charm may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It works.
    Active,
    /// The charm is at work and gets on by itself.
    Maintenance,
    /// Another unit or application has to act.
    Waiting,
    /// A person has to act; the message says what.
    Blocked,
}

/// A status as Juju has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ReportedStatus {
    /// A [`Status`] by its name, or one that only Juju sets, such as `unknown`.
    pub status: String,
    /// Its message.
    pub message: String,
    /// What was attached to it.
    pub status_data: Option<Map<String, Value>>,
}

/// The application's status and its units'.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct ApplicationStatus {
    /// As in [`ReportedStatus`].
    pub status: String,
    /// As in [`ReportedStatus`].
    pub message: String,
    /// As in [`ReportedStatus`].
    pub status_data: Option<Map<String, Value>>,
    /// Each unit's own.
    pub units: BTreeMap<UnitName, ReportedStatus>,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::Waiting => "waiting",
            Self::Blocked => "blocked",
        })
    }
}

impl Tools {
    /// Sets a status at once: `status-set --application=True|False STATUS [-- MESSAGE]`. Only the
    /// Juju leader may set the application's.
    ///
    /// The message becomes one line of at most [`MESSAGE_CHARS_MAX`](super::MESSAGE_CHARS_MAX)
    /// characters: it is a column of a table.
    pub fn status_set(&self, scope: Scope, status: Status, message: &str) -> Result<()> {
        let application = match scope {
            Scope::Unit => "--application=False",
            Scope::App => "--application=True",
        };
        let call = self.call("status-set").args([application, &status.to_string()]);
        match bounded(&one_line(message)).as_str() {
            "" => call.done(),
            message => call.args(["--", message]).done(),
        }
    }

    /// This unit's status: `status-get --include-data --format=json --application=false`.
    pub fn status_get(&self) -> Result<ReportedStatus> {
        let flags = ["--include-data", "--format=json", "--application=false"];
        let status: Option<ReportedStatus> = self.call("status-get").args(flags).json()?;
        Ok(status.unwrap_or_default())
    }

    /// The application's status, for the Juju leader:
    /// `status-get --include-data --format=json --application=true`.
    pub fn application_status_get(&self) -> Result<ApplicationStatus> {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "kebab-case")]
        struct Answer {
            application_status: ApplicationStatus,
        }
        let flags = ["--include-data", "--format=json", "--application=true"];
        let answer: Option<Answer> = self.call("status-get").args(flags).json()?;
        Ok(answer.unwrap_or_default().application_status)
    }

    /// Sets the version of the workload at once: `application-version-set -- VERSION`.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`](crate::Error::Invalid) also when it is empty or has several lines.
    pub fn application_version_set(&self, version: &str) -> Result<()> {
        let tool = "application-version-set";
        if version.is_empty() || one_line(version) != version {
            return Err(invalid(tool, format!("`{}` is no version", one_line(version))));
        }
        self.call(tool).args(["--", version]).done()
    }
}
