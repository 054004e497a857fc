//! Plays a Juju model for a person: deploys a charm on loopback, keeps it running, and takes
//! commands at a prompt or, with `--dir`, from other terminals.

use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use model::{Error, Model, Options, Result};
use serde_json::{Map, Value};

/// Name of the application `up` deploys.
const APP: &str = "etcd";
/// Pause between two looks for a hook that is due.
const IDLE: Duration = Duration::from_millis(100);
/// Time between two rounds of update-status.
const UPDATE_STATUS_EVERY: Duration = Duration::from_secs(10);
/// Lines `log` shows without a number.
const LOG_LINES: usize = 40;

/// Plays a Juju model on this machine.
#[derive(Parser)]
struct Cli {
    /// Where the model is; the same for `up` and for later commands. Short: sockets are below it.
    #[arg(long, default_value = "/tmp/quorate-model")]
    dir: PathBuf,
    #[command(subcommand)]
    command: Top,
}

#[derive(Subcommand)]
enum Top {
    /// Deploy an unpacked charm as the application `etcd` and keep it running.
    Up {
        /// Directory of the unpacked charm.
        #[arg(long)]
        charm: PathBuf,
        /// Units.
        #[arg(short, long, default_value_t = 3)]
        n: u32,
        /// Decides the order of hooks.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Options of the charm, `name=value`.
        #[arg(long)]
        config: Vec<String>,
        /// Storage names, attached to each unit.
        #[arg(long)]
        storage: Vec<String>,
    },
    #[command(flatten)]
    Command(Command),
}

/// What a running model is told.
#[derive(Subcommand)]
enum Command {
    /// Show applications and units.
    Status,
    /// Add units: `add-unit etcd -n 2`.
    AddUnit {
        /// The application.
        #[arg(default_value = APP)]
        app: String,
        /// How many.
        #[arg(short, long, default_value_t = 1)]
        n: u32,
    },
    /// Remove a unit, in order or (`--force`) without its hooks.
    RemoveUnit {
        /// Unit, such as etcd/0.
        unit: String,
        /// Run nothing on the unit.
        #[arg(long)]
        force: bool,
    },
    /// Relate a consumer, made when there is none: `relate etcd:proxy user:etcd`.
    Relate {
        /// application:endpoint
        one: String,
        /// application:endpoint
        other: String,
    },
    /// Show a databag: `databag etcd:proxy etcd/0`.
    Databag {
        /// application:endpoint
        endpoint: String,
        /// Unit or application.
        of: String,
    },
    /// Run an action: `run etcd/0 compact revision=5`.
    Run {
        /// Unit.
        unit: String,
        /// Action.
        action: String,
        /// `name=value`
        params: Vec<String>,
    },
    /// Set options: `config etcd port=2400`.
    Config {
        /// The application, which may be left out, and `name=value`
        #[arg(required = true)]
        values: Vec<String>,
    },
    /// Put another unpacked charm in place.
    Refresh {
        /// Its directory.
        charm: PathBuf,
    },
    /// Show the last lines of the log.
    Log {
        /// How many.
        #[arg(default_value_t = LOG_LINES)]
        lines: usize,
    },
    /// Switch a unit's machine off, without any hook.
    Kill {
        /// Unit.
        unit: String,
    },
    /// Switch a unit's machine on again.
    Boot {
        /// Unit.
        unit: String,
    },
    /// Try a unit's failed hook again.
    Resolve {
        /// Unit.
        unit: String,
    },
    /// End the model and everything it runs.
    Quit,
}

#[derive(Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Top::Up { charm, n, seed, config, storage } => {
            up(&cli.dir, &charm, n, seed, &config, &storage)
        }
        Top::Command(_) => send(&cli.dir),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("quorate-model: {error}");
            ExitCode::FAILURE
        }
    }
}

fn at<T, E: std::fmt::Display>(result: std::result::Result<T, E>, place: &Path) -> Result<T> {
    result.map_err(|error| Error::new(format!("{}: {error}", place.display())))
}

fn up(
    dir: &Path,
    charm: &Path,
    n: u32,
    seed: u64,
    config: &[String],
    storage: &[String],
) -> Result<ExitCode> {
    at(std::fs::create_dir(dir), dir).map_err(|error| {
        Error::new(format!("{error}; end the model there, or delete the directory"))
    })?;
    let played = play(dir, charm, n, seed, config, storage);
    at(std::fs::remove_dir_all(dir), dir)?;
    played.map(|()| ExitCode::SUCCESS)
}

fn play(
    dir: &Path,
    charm: &Path,
    n: u32,
    seed: u64,
    config: &[String],
    storage: &[String],
) -> Result<()> {
    let options =
        Options { seed, is_parallel: true, dir: Some(dir.to_owned()), ..Options::default() };
    let model = Arc::new(Model::new(options)?);
    let storage: Vec<&str> = storage.iter().map(String::as_str).collect();
    model.deploy(charm, APP, n, &pairs(config)?, &storage)?;
    let ends = Arc::new(AtomicBool::new(false));
    let socket = dir.join("control.sock");
    let listener = at(UnixListener::bind(&socket), &socket)?;
    let (shared, ending) = (Arc::clone(&model), Arc::clone(&ends));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            remote(&shared, &ending, &stream);
        }
    });
    let (shared, ending) = (Arc::clone(&model), Arc::clone(&ends));
    std::thread::spawn(move || prompt(&shared, &ending));
    let mut next_update = Instant::now() + UPDATE_STATUS_EVERY;
    while !ends.load(Ordering::SeqCst) {
        if Instant::now() > next_update {
            model.update_status();
            next_update = Instant::now() + UPDATE_STATUS_EVERY;
        }
        if !model.step() {
            std::thread::sleep(IDLE);
        }
    }
    model.close();
    Ok(())
}

fn prompt(model: &Model, ends: &AtomicBool) {
    let stdin = std::io::stdin();
    let is_person = stdin.is_terminal();
    loop {
        if is_person {
            print!("model> ");
            let _ = std::io::stdout().flush();
        }
        let mut line = String::new();
        // Without a terminal the end of input is no wish to end the model.
        if stdin.lock().read_line(&mut line).unwrap_or(0) == 0 {
            if is_person {
                ends.store(true, Ordering::SeqCst);
            }
            return;
        }
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        if words.is_empty() {
            continue;
        }
        match obey(model, ends, &words) {
            Ok(text) => print!("{text}"),
            Err(text) => eprint!("{text}"),
        }
        if ends.load(Ordering::SeqCst) {
            return;
        }
    }
}

/// One command line from another terminal: a JSON list; the answer begins with `ok` or `no`.
fn remote(model: &Model, ends: &AtomicBool, stream: &UnixStream) {
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).is_err() {
        return;
    }
    let Ok(words) = serde_json::from_str::<Vec<String>>(&line) else { return };
    let answer = match obey(model, ends, &words) {
        Ok(text) => format!("ok\n{text}"),
        Err(text) => format!("no\n{text}"),
    };
    let mut writer = stream;
    // The other terminal may have been closed.
    let _ = writer.write_all(answer.as_bytes());
}

/// Sends this process's own command to the running model.
fn send(dir: &Path) -> Result<ExitCode> {
    let mut args = std::env::args().skip(1).peekable();
    let mut words: Vec<String> = Vec::new();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--dir" if words.is_empty() => drop(args.next()),
            flag if words.is_empty() && flag.starts_with("--dir=") => {}
            _ => words.push(arg),
        }
    }
    let socket = dir.join("control.sock");
    let hint = |error: Error| {
        Error::new(format!(
            "{error}: is a model running there? `quorate-model --dir {} up --charm DIR` starts one",
            dir.display()
        ))
    };
    let mut stream = at(UnixStream::connect(&socket), &socket).map_err(hint)?;
    let line = serde_json::to_string(&words).map_err(|error| Error::new(error.to_string()))?;
    at(writeln!(stream, "{line}"), &socket)?;
    let mut answer = String::new();
    at(stream.read_to_string(&mut answer), &socket)?;
    match answer.split_once('\n') {
        Some(("ok", text)) => {
            print!("{text}");
            Ok(ExitCode::SUCCESS)
        }
        Some((_, text)) => {
            eprint!("{text}");
            Ok(ExitCode::FAILURE)
        }
        None => Err(Error::new("the model ended before it answered")),
    }
}

/// Text to show, or the text of an error.
fn obey(model: &Model, ends: &AtomicBool, words: &[String]) -> std::result::Result<String, String> {
    let line = Line::try_parse_from(words).map_err(|error| error.to_string())?;
    run(model, ends, line.command).map_err(|error| format!("{error}\n"))
}

fn run(model: &Model, ends: &AtomicBool, command: Command) -> Result<String> {
    match command {
        Command::Status => return Ok(model.status().to_text()),
        Command::AddUnit { app, n } => {
            return Ok(format!("{}\n", model.add_units(&app, n, &[])?.join(" ")));
        }
        Command::RemoveUnit { unit, force: true } => model.force_remove_unit(&unit)?,
        Command::RemoveUnit { unit, force: false } => model.remove_unit(&unit)?,
        Command::Relate { one, other } => relate(model, &one, &other)?,
        Command::Databag { endpoint, of } => {
            return Ok(model
                .databag(&endpoint, &of)
                .iter()
                .map(|(key, value)| format!("{key}: {value}\n"))
                .collect());
        }
        Command::Run { unit, action, params } => {
            return action_text(model, &unit, &action, &params);
        }
        Command::Config { values } => {
            let app = values.first().filter(|word| !word.contains('='));
            let values = &values[usize::from(app.is_some())..];
            model.set_config(app.map_or(APP, String::as_str), &pairs(values)?)?;
        }
        Command::Refresh { charm } => model.refresh(APP, &charm)?,
        Command::Log { lines } => return Ok(format!("{}\n", model.journal_text(lines))),
        Command::Kill { unit } => model.kill_machine(&unit)?,
        Command::Boot { unit } => model.start_machine(&unit)?,
        Command::Resolve { unit } => model.resolve(&unit, true)?,
        Command::Quit => ends.store(true, Ordering::SeqCst),
    }
    Ok(String::new())
}

/// An application that is not there is taken as a consumer with one unit.
fn relate(model: &Model, one: &str, other: &str) -> Result<()> {
    for end in [one, other] {
        let app = end.split(':').next().unwrap_or(end);
        if !model.status().apps.contains_key(app) {
            model.deploy_consumer(app, 1)?;
        }
    }
    model.relate(one, other).map(drop)
}

fn action_text(model: &Model, unit: &str, action: &str, params: &[String]) -> Result<String> {
    let typed = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text));
    let params: Map<String, Value> =
        pairs(params)?.into_iter().map(|(key, value)| (key.to_owned(), typed(value))).collect();
    let outcome = model.run_action(unit, action, &params.into())?;
    serde_json::to_string_pretty(&outcome)
        .map(|text| format!("{text}\n"))
        .map_err(|error| Error::new(error.to_string()))
}

fn pairs(words: &[String]) -> Result<Vec<(&str, &str)>> {
    let pair = |word: &'_ String| {
        word.find('=').ok_or_else(|| Error::new(format!("\"{word}\": expected name=value")))
    };
    words.iter().map(|word| pair(word).map(|at| (&word[..at], &word[at + 1..]))).collect()
}
