//! Log lines to their sinks, without ever waiting for one.
//!
//! A line is formatted by the thread that logs it and put into a bounded queue per sink; one
//! thread per sink writes. A sink that stalls, a full pipe or a hanging disk, costs lines, never
//! time: beyond the bound they are dropped and counted, and the count is logged once the sink
//! moves again. (etcd waits for its sinks, and has stopped serving because of it: its issue 22214.)

mod line;
mod queue;

use std::fs::OpenOptions;
use std::io;
use std::panic::Location;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};

use self::queue::Queue;
use crate::config::{LogConfig, LogFormat, LogLevel, LogOutput};

/// Crates whose talk is about themselves; they are heard from one level up.
const CHATTY: [&str; 5] = ["h2", "hyper", "hyper_util", "openraft", "tonic"];

/// A log could not be set up.
#[derive(Debug, Error)]
pub enum LogError {
    /// A file cannot be appended to.
    #[error("--log-outputs: cannot open {path}: {error}")]
    Open {
        /// As it was named.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The machine gives no further thread.
    #[error("cannot start a thread for log lines: {0}")]
    Thread(io::Error),
    /// Something else has taken the process's logger.
    #[error("a logger is installed already")]
    Installed,
}

/// Keeps the sinks' threads; clones share them.
#[derive(Clone)]
pub struct Log {
    queues: Arc<[Queue]>,
}

impl Log {
    /// Opens the sinks and becomes the logger of this process.
    ///
    /// # Errors
    /// When a file cannot be opened or the process has a logger already.
    pub fn install(config: &LogConfig) -> Result<Self, LogError> {
        let (log, subscriber) = Self::open(config)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Installed)?;
        Ok(log)
    }

    /// Opens the sinks; the subscriber writes to them.
    fn open(config: &LogConfig) -> Result<(Self, impl Subscriber + Send + Sync), LogError> {
        let queues = config
            .outputs
            .iter()
            .map(|output| Queue::start(sink(output)?, config.format).map_err(LogError::Thread))
            .collect::<Result<Vec<_>, _>>()?;
        let log = Self { queues: queues.into() };
        let layer = Lines { format: config.format, log: log.clone() };
        Ok((log, tracing_subscriber::registry().with(layer.with_filter(filter(config.level)))))
    }

    /// Lines dropped so far because a sink did not keep up.
    pub fn dropped_total(&self) -> u64 {
        self.queues.iter().map(Queue::dropped_total).sum()
    }

    /// Waits until every line logged before is written, at most this long in all. For the end of
    /// the process: a stalled sink must not keep it from ending.
    ///
    /// Returns whether everything was written.
    pub fn flush(&self, limit: Duration) -> bool {
        let deadline = std::time::Instant::now() + limit;
        self.queues.iter().all(|queue| queue.flush(deadline))
    }
}

fn sink(output: &LogOutput) -> Result<Box<dyn io::Write + Send>, LogError> {
    Ok(match output {
        LogOutput::Stderr => Box::new(io::stderr()),
        LogOutput::Stdout => Box::new(io::stdout()),
        LogOutput::File(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Box::new(
                file.map_err(|error| LogError::Open { path: path.display().to_string(), error })?,
            )
        }
    })
}

fn filter(level: LogLevel) -> Targets {
    let (own, chatty) = match level {
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::INFO),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::WARN),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::ERROR),
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::ERROR),
    };
    Targets::new().with_default(own).with_targets(CHATTY.map(|target| (target, chatty)))
}

/// The layer that makes lines of events.
struct Lines {
    format: LogFormat,
    log: Log,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let line: Arc<[u8]> = line::of_event(event, self.format).into();
        for queue in self.log.queues.iter() {
            queue.push(Arc::clone(&line));
        }
    }
}

/// The line a queue writes about its own losses.
#[track_caller]
fn dropped_line(format: LogFormat, dropped: u64) -> Vec<u8> {
    line::of_text(
        format,
        "warn",
        Location::caller(),
        "log lines were dropped because this output did not keep up",
        &[("dropped", dropped.into())],
    )
}

#[cfg(test)]
mod tests;
