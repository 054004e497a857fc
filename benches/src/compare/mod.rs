//! Runs several servers in turns on this machine and prints how they compare.
//!
//! Only the server under test runs: the others are stopped (SIGSTOP) or not started, because an
//! idle cluster of three still takes a percent or two of two cores. `docs/performance.md` is the
//! handbook.

mod bars;
mod cases;
mod client;
mod cluster;
mod device;
mod failover;
mod fetch;
mod figure;
mod footprint;
mod machine;
mod million;
mod options;
mod outcome;
mod processes;
mod rounds;
mod server;
mod signals;
mod table;

use std::io::Write as _;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use options::Options;
use outcome::Outcome;

/// The `compare` program.
///
/// # Errors
/// When a server cannot be found or started, does not become healthy, or figures cannot be written.
pub fn main() -> Result<()> {
    let options = Options::parse();
    options.check()?;
    let bench = options::Bench::prepare(&options)?;
    signals::end_processes_on_signal(&bench);
    let mut outcome = Outcome::new(&bench)?;
    for &members in &options.members {
        rounds::run(&bench, members, &mut outcome)?;
        footprint::run(&bench, members, &mut outcome)?;
        failover::run(&bench, members, &mut outcome)?;
        million::run(&bench, members, &mut outcome)?;
    }
    bench.progress.finish_and_clear();
    if let Some(path) = &options.json {
        let json = serde_json::to_vec_pretty(&outcome)?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    std::io::stdout().write_all(table::markdown(&outcome).as_bytes())?;
    ensure!(!outcome.figures.is_empty(), "no case was run: see --cases in --help");
    Ok(())
}
