//! `quorate-release`: fetches releases for the charm, and manages them for a person.

mod cli;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use release::fetch::{Bar, Lines, Progress};
use release::{FetchError, Release, ReleaseError, ReleaseId, Releases, Switched};
use serde_json::{Value, json};

use cli::{Cli, Command, Fetch};

/// Exit code when a release that was asked for is not there or cannot be.
const EXIT_USAGE: u8 = 2;

/// Exit code when the directory cannot be read or changed.
const EXIT_DISK: u8 = 6;

/// Why the command failed, as one line and an exit code.
struct Failure {
    text: String,
    code: u8,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let answer = match run(&cli.command) {
        Ok(answer) => answer,
        Err(failure) => {
            let line = failure.text.replace('\n', " ");
            let _ = writeln!(io::stderr(), "quorate-release: {line}");
            return ExitCode::from(failure.code);
        }
    };
    match writeln!(io::stdout(), "{answer}") {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn run(command: &Command) -> Result<Value, Failure> {
    match command {
        Command::Fetch(options) => fetch(options),
        Command::List { into } => list(&Releases::new(&into.dir)),
        Command::Switch { id, into } => {
            let id: ReleaseId = id.parse()?;
            Ok(switched(&Releases::new(&into.dir).switch(&id)?))
        }
        Command::Rollback { into } => Ok(switched(&Releases::new(&into.dir).rollback()?)),
    }
}

fn fetch(options: &Fetch) -> Result<Value, Failure> {
    let request = options.request()?;
    let releases = Releases::new(&options.into.dir);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { text: format!("cannot start: {error}"), code: EXIT_DISK })?;
    let mut progress = progress();
    let release = runtime.block_on(release::fetch(&request, &releases, &mut *progress))?;
    Ok(described(&release))
}

fn progress() -> Box<dyn Progress> {
    if io::stderr().is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::new(Lines::new(io::stderr()))
    }
}

fn list(releases: &Releases) -> Result<Value, Failure> {
    let id = |release: Option<Release>| release.map(|release| release.id.to_string());
    let all: Vec<Value> = releases.list()?.iter().map(described).collect();
    Ok(json!({
        "current": id(releases.current()?),
        "previous": id(releases.previous()?),
        "releases": all,
    }))
}

fn described(release: &Release) -> Value {
    let mut value = json!({ "id": release.id.as_str(), "path": release.path });
    if let Some(version) = release.version() {
        value["version"] = version.into();
    }
    value
}

fn switched(switched: &Switched) -> Value {
    json!({
        "id": switched.to.as_str(),
        "from": switched.from.as_ref().map(ReleaseId::as_str),
        "changed": switched.is_change(),
    })
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self { text: error.to_string(), code: error.exit_code() }
    }
}

impl From<ReleaseError> for Failure {
    fn from(error: ReleaseError) -> Self {
        let is_usage = matches!(
            error,
            ReleaseError::BadId { .. }
                | ReleaseError::NotFound { .. }
                | ReleaseError::NoPrevious { .. }
        );
        let code = if is_usage { EXIT_USAGE } else { EXIT_DISK };
        Self { text: error.to_string(), code }
    }
}
