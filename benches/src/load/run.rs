//! Leads the workers through a run.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::load::pacer::Pacer;
use crate::load::report::Report;
use crate::load::shared::{Phase, Shared};
use crate::load::tally::Tally;
use crate::load::worker::{self, Share};
use crate::load::workload::{Limit, Workload};
use crate::process;

/// Everybody is set up within this time, or the run fails.
const SETUP_MAX: Duration = Duration::from_secs(30);

/// A run that counts operations ends after this time in any case.
const COUNTED_MAX: Duration = Duration::from_secs(1800);

/// Workers end by themselves within 5 s ([`worker::FINISH_MAX`]); this is for the worst.
const END_MAX: Duration = Duration::from_secs(15);

/// The two moments at which the caller may look at the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edge {
    /// Counting begins.
    Start,
    /// Counting has ended.
    End,
}

/// Makes the load and blocks until it is over. `edge` is called on this thread.
///
/// # Errors
/// When the workload makes no sense or clients could not be set up. Failed operations are no
/// error here: they are in the report.
pub fn run(workload: &Workload, edge: &mut dyn FnMut(Edge)) -> Result<Report> {
    workload.check()?;
    let budget = match workload.limit {
        Limit::Operations(operations) => {
            i64::try_from(operations).context("too many operations")?
        }
        Limit::Duration(_) => i64::MAX,
    };
    let shared = Arc::new(Shared::new(budget));
    let outcome = lead(workload, &shared, edge);
    shared.enter(Phase::Done); // also after an error: nobody is left behind
    outcome
}

fn lead(workload: &Workload, shared: &Arc<Shared>, edge: &mut dyn FnMut(Edge)) -> Result<Report> {
    let shares = Share::divide(workload);
    let (expected, workers) = (shares.iter().map(Share::tasks).sum(), shares.len());
    let callers = shares.iter().filter(|share| share.clients > 0).count();
    let (pacer, mut paces) = match workload.rate.map(|rate| Pacer::new(rate, callers)) {
        Some((pacer, paces)) => (Some(pacer), paces),
        None => (None, Vec::new()),
    };
    let (sender, tallies) = mpsc::channel();
    for share in shares {
        let pace = if share.clients > 0 { paces.pop() } else { None };
        let (workload, shared, sender) = (workload.clone(), Arc::clone(shared), sender.clone());
        thread::Builder::new().name(format!("load-{}", share.index)).spawn(move || {
            // Fails only when the leader gave up waiting.
            let _ = sender.send(worker::run(workload, shared, share, pace));
        })?;
    }
    drop(sender);
    wait_until_ready(shared, expected)?;

    let pacer = pacer.map(|pacer| {
        let shared = Arc::clone(shared);
        thread::spawn(move || pacer.run(&shared))
    });
    if let Limit::Duration(_) = workload.limit {
        shared.enter(Phase::Warmup);
        thread::sleep(workload.warmup);
    }
    edge(Edge::Start);
    let generator = process::usage("self")?;
    let start = Instant::now();
    shared.enter(Phase::Measure);
    let mut total = Tally::default();
    let early = wait_for_end(workload.limit, &tallies, workers, &mut total)?;
    shared.enter(Phase::Done);
    let window = start.elapsed();
    let generator = process::usage("self")? - generator;
    edge(Edge::End);

    for _ in early..workers {
        total.merge(tallies.recv_timeout(END_MAX).context("a worker did not end")?);
    }
    if let Some(refused) = pacer.and_then(|pacer| pacer.join().ok()) {
        total.count("NOT_OFFERED(queue full)".to_owned(), refused);
    }
    Ok(Report::new(total, window, generator.cpu))
}

fn wait_until_ready(shared: &Shared, expected: usize) -> Result<()> {
    let deadline = Instant::now() + SETUP_MAX;
    while shared.ready() < expected {
        if let Some(failure) = shared.failure() {
            bail!("set-up failed: {failure}");
        }
        if Instant::now() > deadline {
            bail!("only {} of {expected} clients were ready in {SETUP_MAX:?}", shared.ready());
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits for the end of the window; returns how many workers have ended and were merged.
fn wait_for_end(
    limit: Limit,
    tallies: &Receiver<Tally>,
    workers: usize,
    total: &mut Tally,
) -> Result<usize> {
    let length = match limit {
        Limit::Duration(length) => length,
        Limit::Operations(_) => COUNTED_MAX,
    };
    let deadline = Instant::now() + length;
    for ended in 0..workers {
        match tallies.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(tally) => total.merge(tally),
            Err(RecvTimeoutError::Timeout) => return Ok(ended),
            Err(RecvTimeoutError::Disconnected) => bail!("a worker ended without a tally"),
        }
    }
    Ok(workers)
}
