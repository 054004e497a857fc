//! Puts one kind of load on any etcd endpoints and says how it went.
//!
//! Threads (`worker`) each own a single-threaded runtime with a share of the connections and of
//! the clients; a client is a task that makes one call after the other. `run` leads them through
//! set-up, warm-up and the measured window, and merges what they counted.

mod cases;
mod keys;
mod options;
mod pacer;
mod report;
pub(crate) mod requests;
mod run;
mod shared;
mod tally;
mod worker;
mod workload;

use std::io::Write as _;

use clap::Parser as _;

pub use keys::{Keyspace, Order};
pub use report::Report;
pub use run::{Edge, run};
pub use workload::{Case, Limit, Workload};

/// The `load` program.
///
/// # Errors
/// When the options do not fit together, no client could be set up, or operations failed.
pub fn main() -> anyhow::Result<()> {
    let options = options::Options::parse();
    let workload = options.workload()?;
    let report = options::with_progress(&workload, |edge| run(&workload, edge))?;
    let text = match options.json() {
        true => serde_json::to_string(&report)? + "\n",
        false => report.to_string(),
    };
    std::io::stdout().write_all(text.as_bytes())?;
    anyhow::ensure!(report.operations > 0, "not one operation succeeded");
    Ok(())
}
