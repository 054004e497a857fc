//! The life of the process: start the parts in order, wait for a reason to end, stop them in order.

mod addresses;
mod publish;
mod settings;
mod signals;
mod start;

use std::time::Duration;

use anyhow::{Context, bail};

use crate::config::Config;
use crate::logging::Log;
use crate::server::threads::{self, ConnectionThreads};
pub use start::{Running, start};

/// How long log lines may take to be written at the end.
const LOG_FLUSH_MAX: Duration = Duration::from_secs(1);

/// Threads that serve clients, at least: one may be busy with a long answer.
const THREADS_MIN: usize = 2;

/// Runs a member until it is told to stop.
///
/// # Errors
/// One line that says what is wrong: at the start, or when the member cannot go on.
pub fn run(config: Config) -> anyhow::Result<()> {
    let log = Log::install(&config.log)?;
    let runtime = threads::runtime().context("cannot start the threads of the member")?;
    let outcome = runtime.block_on(live(config));
    if let Err(error) = &outcome {
        tracing::error!(error = format!("{error:#}"), "stopped");
    }
    // What still runs then belongs to connections that did not end in time.
    runtime.shutdown_background();
    log.flush(LOG_FLUSH_MAX);
    outcome
}

async fn live(config: Config) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let cores = std::thread::available_parallelism().map_or(THREADS_MIN, usize::from);
    let threads = ConnectionThreads::start(cores.max(THREADS_MIN) - 1)
        .context("cannot start the threads of the member")?;
    let mut running = start::start(config, threads).await?;
    let fatal = tokio::select! {
        signal = signals::first() => {
            tracing::info!(signal = signal?, "stopping");
            None
        }
        reason = running.fatal() => Some(reason),
    };
    match fatal {
        // The state of this member cannot be trusted to be flushed in order: the log has it.
        Some(reason) => {
            bail!("cannot go on: {reason}; restart the member, or replace it if this comes back")
        }
        None => {
            signals::exit_on_the_next();
            running.stop().await;
            tracing::info!("stopped");
            Ok(())
        }
    }
}
