//! The service of this unit, through the service manager.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::command::{self, CommandError};
use crate::facts;

/// How long the service manager may take; stopping a member takes the longest (`TimeoutStopSec`).
const MANAGER_MAX: Duration = Duration::from_secs(90);

/// One service, and the machine's programs that look after it.
#[derive(Debug, Clone)]
pub struct Service {
    name: String,
    programs: Option<PathBuf>,
}

impl Service {
    /// The service of that name.
    pub fn new(name: String) -> Self {
        Self { name, programs: None }
    }

    /// Takes the programs from `directory` instead of `PATH`.
    #[must_use]
    pub fn with_programs(self, directory: Option<PathBuf>) -> Self {
        Self { programs: directory, ..self }
    }

    /// How it stands.
    ///
    /// # Errors
    ///
    /// When the service manager cannot be asked.
    pub fn state(&self) -> Result<facts::Service, CommandError> {
        let finished = command::run(self.systemctl(&["is-active", &self.name]), MANAGER_MAX)?;
        Ok(match finished.stdout.trim() {
            "active" | "activating" | "reloading" => facts::Service::Up,
            "failed" => facts::Service::Failed,
            _ => facts::Service::Down,
        })
    }

    /// How often the manager has started it again by itself.
    ///
    /// # Errors
    ///
    /// When the service manager cannot be asked.
    pub fn restarts(&self) -> Result<u64, CommandError> {
        let show = self.systemctl(&["show", "--property=NRestarts", "--value", &self.name]);
        let finished = command::run_well(show, MANAGER_MAX)?;
        Ok(finished.stdout.trim().parse().unwrap_or(0))
    }

    /// Reads unit files again.
    ///
    /// # Errors
    ///
    /// As the service manager says.
    pub fn reload_manager(&self) -> Result<(), CommandError> {
        command::run_well(self.systemctl(&["daemon-reload"]), MANAGER_MAX).map(drop)
    }

    /// Has it started with the machine, and starts it. Does not wait until it is ready: a member
    /// that joins may take long.
    ///
    /// # Errors
    ///
    /// As the service manager says.
    pub fn start(&self) -> Result<(), CommandError> {
        command::run_well(self.systemctl(&["enable", &self.name]), MANAGER_MAX)?;
        command::run_well(self.systemctl(&["start", "--no-block", &self.name]), MANAGER_MAX)
            .map(drop)
    }

    /// Stops it and waits until it is gone.
    ///
    /// # Errors
    ///
    /// As the service manager says.
    pub fn stop(&self) -> Result<(), CommandError> {
        command::run_well(self.systemctl(&["stop", &self.name]), MANAGER_MAX).map(drop)
    }

    /// Does not start it with the machine any more.
    ///
    /// # Errors
    ///
    /// As the service manager says.
    pub fn disable(&self) -> Result<(), CommandError> {
        command::run_well(self.systemctl(&["disable", &self.name]), MANAGER_MAX).map(drop)
    }

    /// Makes the account that `file` describes.
    ///
    /// # Errors
    ///
    /// As the tool says.
    pub fn make_accounts(&self, file: &Path) -> Result<(), CommandError> {
        let mut command = self.program("systemd-sysusers");
        command.arg(file);
        command::run_well(command, MANAGER_MAX).map(drop)
    }

    /// Makes the folders that `file` describes and gives them their owners.
    ///
    /// # Errors
    ///
    /// As the tool says.
    pub fn make_folders(&self, file: &Path) -> Result<(), CommandError> {
        let mut command = self.program("systemd-tmpfiles");
        command.arg("--create").arg(file);
        command::run_well(command, MANAGER_MAX).map(drop)
    }

    fn systemctl(&self, words: &[&str]) -> Command {
        let mut command = self.program("systemctl");
        command.args(words);
        command
    }

    fn program(&self, name: &str) -> Command {
        match &self.programs {
            Some(directory) => Command::new(directory.join(name)),
            None => Command::new(name),
        }
    }
}
