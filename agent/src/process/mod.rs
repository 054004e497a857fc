//! The life of the process: start the parts in order, wait for a reason to end, stop them in order.

mod addresses;
mod joining;
mod publish;
mod seeds;
mod serving;
mod settings;
mod signals;
mod start;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::sync::mpsc;

use self::serving::End;
use self::signals::Signals;
use crate::admin;
use crate::config::Config;
use crate::life::{LeaveOrder, Life, State};
use crate::logging::Log;
use crate::notify;
use crate::server::threads::{self, ConnectionThreads};
pub use start::{Running, Started, start};

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

/// The admin socket is there from the first moment to the last.
async fn live(config: Config) -> anyhow::Result<()> {
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let (life, orders) = Life::new(&config.name);
    let admin = match &config.admin_socket {
        Some(path) => Some(admin::Server::open(path, life.clone()).await?),
        None => None,
    };
    let outcome = serve_and_leave(config, &life, orders).await;
    if let Some(admin) = admin {
        admin.close().await;
    }
    outcome
}

async fn serve_and_leave(
    config: Config,
    life: &Arc<Life>,
    mut orders: mpsc::Receiver<LeaveOrder>,
) -> anyhow::Result<()> {
    let mut signals = Signals::receive().context("cannot receive signals")?;
    let cores = std::thread::available_parallelism().map_or(THREADS_MIN, usize::from);
    let threads = ConnectionThreads::start(cores.max(THREADS_MIN) - 1)
        .context("cannot start the threads of the member")?;
    let started = tokio::select! {
        signal = signals.next() => {
            // Nothing is served yet, and what is on disk stands by itself.
            tracing::info!(signal, "stopped before it served");
            return Ok(());
        }
        started = start::start(config, threads, life.clone()) => started,
    };
    let running = match started {
        Ok(Started::Serving(running)) => running,
        Ok(Started::Left) => {
            idle(life, orders, signals).await;
            return Ok(());
        }
        Err(error) => {
            life.enter(State::Refused, format!("{error:#}"));
            return Err(error);
        }
    };
    match serving::serve(&running, life, &mut orders, &mut signals).await {
        // The state of this member cannot be trusted to be flushed in order: the log has it.
        End::Fatal(reason) => {
            bail!("cannot go on: {reason}; restart the member, or replace it if this comes back")
        }
        End::Signal(signal) => {
            tracing::info!(signal, "stopping");
            notify::stopping();
            signals.exit_on_the_next();
            running.stop().await;
            tracing::info!("stopped");
            Ok(())
        }
        End::Left(order) => {
            running.stop().await;
            life.enter(State::Left, "");
            order.answer(Ok(()));
            idle(life, orders, signals).await;
            Ok(())
        }
    }
}

/// The member has left: the process only says so, until it is stopped. Ending by itself would make
/// the service manager start it again, and it would come back.
async fn idle(life: &Life, mut orders: mpsc::Receiver<LeaveOrder>, mut signals: Signals) {
    life.set_member(None);
    notify::ready();
    loop {
        tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "stopped");
                return;
            }
            Some(order) = orders.recv() => order.answer(Ok(())),
        }
    }
}
