//! One thread of the generator: a runtime, its connections and its clients.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::Mutex;
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::timeout;

use crate::load::cases;
use crate::load::shared::{Phase, Shared};
use crate::load::tally::Tally;
use crate::load::workload::{Case, STAMP_BYTES, Workload};
use crate::wire::{CallError, Channel};

/// Calls in flight at the end of the window get this long; then they count as unanswered.
pub const FINISH_MAX: Duration = Duration::from_secs(5);

/// Pause of a client after a transport error: a server that is away must not be hammered.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// What one worker takes of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Which worker, from 0.
    pub index: usize,
    /// Connections `index`, `index + workers`, ... of the whole.
    pub connections: usize,
    /// Clients that make calls.
    pub clients: usize,
    /// Streams of watches that only listen.
    pub watchers: usize,
}

impl Share {
    /// Divides a workload evenly over its threads.
    pub fn divide(workload: &Workload) -> Vec<Self> {
        let watchers = match workload.case {
            Case::Watch { streams, .. } => streams,
            Case::Mixed { watchers } => watchers,
            _ => 0,
        };
        let threads = workload.threads;
        let part =
            |total: usize, index: usize| total / threads + usize::from(index < total % threads);
        (0..threads)
            .map(|index| Self {
                index,
                connections: part(workload.connections, index),
                clients: part(workload.clients, index),
                watchers: part(watchers, index),
            })
            .collect()
    }

    /// Clients and watchers.
    pub fn tasks(&self) -> usize {
        self.clients + self.watchers
    }
}

/// What the tasks of one worker share; they take turns on one thread.
pub struct Worker {
    /// What to do.
    pub workload: Workload,
    /// The state of the run.
    pub shared: Arc<Shared>,
    /// What is put; the same bytes every time.
    pub value: bytes::Bytes,
    channels: Vec<Channel>,
    tally: RefCell<Tally>,
    pace: Option<Mutex<Receiver<Instant>>>,
}

/// Runs one worker to its end.
pub fn run(
    workload: Workload,
    shared: Arc<Shared>,
    share: Share,
    pace: Option<Receiver<Instant>>,
) -> Tally {
    let worker = match Worker::new(workload, Arc::clone(&shared), share, pace) {
        Ok(worker) => Rc::new(worker),
        Err(error) => {
            shared.fail(format!("{error:#}"));
            return Tally::default();
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, drive(&worker, share)),
        Err(error) => shared.fail(format!("no runtime: {error}")),
    }
    worker.tally.take()
}

/// Starts everybody, waits for the callers, ends the watchers.
async fn drive(worker: &Rc<Worker>, share: Share) {
    let mut watchers = JoinSet::new();
    for index in 0..share.watchers {
        let number = share.index + index * worker.workload.threads;
        watchers.spawn_local(cases::watcher(Rc::clone(worker), number));
    }
    let mut clients = JoinSet::new();
    for index in 0..share.clients {
        let number = share.index + index * worker.workload.threads;
        clients.spawn_local(cases::client(Rc::clone(worker), number));
    }
    if clients.is_empty() {
        worker.shared.reached(Phase::Done).await;
    }
    let all = async { while clients.join_next().await.is_some() {} };
    let overdue = async {
        worker.shared.reached(Phase::Done).await;
        tokio::time::sleep(FINISH_MAX).await;
    };
    tokio::select! {
        () = all => {}
        () = overdue => {}
    }
    worker.tally.borrow_mut().count("UNANSWERED".to_owned(), clients.len() as u64);
    clients.abort_all();
    watchers.abort_all();
}

impl Worker {
    fn new(
        workload: Workload,
        shared: Arc<Shared>,
        share: Share,
        pace: Option<Receiver<Instant>>,
    ) -> Result<Self> {
        let endpoints = workload.endpoints.iter();
        let channels = endpoints
            .cycle()
            .skip(share.index)
            .step_by(workload.threads)
            .take(share.connections)
            .map(|endpoint| Channel::new(endpoint))
            .collect::<Result<_>>()?;
        let value = vec![b'v'; workload.value_bytes].into();
        let (tally, pace) = (RefCell::default(), pace.map(Mutex::new));
        Ok(Self { workload, shared, value, channels, tally, pace })
    }

    /// The connection of the client or watcher with this number.
    pub fn channel(&self, number: usize) -> &Channel {
        &self.channels[number % self.channels.len()]
    }

    /// Says that this task is set up, and waits until all are.
    pub async fn ready(&self) {
        self.shared.add_ready();
        self.shared.reached(Phase::Warmup).await;
    }

    /// When the next operation began or was due; None when the client shall end.
    pub async fn next(&self) -> Option<Instant> {
        if self.shared.done() {
            return None;
        }
        let Some(pace) = &self.pace else {
            return self.shared.take().then(Instant::now);
        };
        let due = tokio::select! {
            due = async { pace.lock().await.recv().await } => due?,
            () = self.shared.reached(Phase::Done) => return None,
        };
        self.shared.take().then_some(due)
    }

    /// Counts an operation that began or was due at `started`.
    pub async fn settle<T>(&self, started: Instant, outcome: &Result<T, CallError>) {
        self.settle_many(started, outcome, 1).await;
    }

    /// As [`settle`](Self::settle), for a call that brought several operations.
    pub async fn settle_many<T>(
        &self,
        started: Instant,
        outcome: &Result<T, CallError>,
        operations: u64,
    ) {
        let counts = self.shared.measuring();
        match outcome {
            Ok(_) if counts => {
                self.tally.borrow_mut().succeeded(operations, started.elapsed());
            }
            Err(error) => {
                if counts {
                    self.tally.borrow_mut().failed(error);
                }
                if error.is_transport() {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
            Ok(_) => {}
        }
    }

    /// Counts the delivery of an event whose value carries the time of its put.
    pub fn delivered(&self, value: &[u8]) {
        if !self.shared.measuring() {
            return;
        }
        let mut tally = self.tally.borrow_mut();
        match value.first_chunk::<STAMP_BYTES>() {
            Some(stamp) => {
                let waited = self.shared.stamp_ns().saturating_sub(u64::from_le_bytes(*stamp));
                tally.succeeded(1, Duration::from_nanos(waited));
            }
            None => tally.failed(&CallError::Reply("event without a time stamp")),
        }
    }

    /// Notes an error outside an operation, for instance of a watch.
    pub fn broke(&self, error: &CallError) {
        if !self.shared.done() {
            self.tally.borrow_mut().failed(error);
        }
    }

    /// Randomness of one client: the same in every run, different between clients.
    pub fn rng(&self, client: usize) -> SmallRng {
        SmallRng::seed_from_u64(client as u64)
    }

    /// Sets up a client within a time, or fails the run.
    pub async fn set_up<T>(&self, setup: impl Future<Output = Result<T, CallError>>) -> Option<T> {
        let outcome = timeout(Duration::from_secs(20), setup).await;
        match outcome.unwrap_or(Err(CallError::Reply("set-up took too long"))) {
            Ok(made) => Some(made),
            Err(error) => {
                self.shared.fail(error.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Keyspace, Limit, Order};

    fn workload(threads: usize, clients: usize, connections: usize) -> Workload {
        Workload {
            endpoints: vec!["127.0.0.1:1".into()],
            case: Case::Watch { watchers: 12, streams: 5 },
            connections,
            clients,
            threads,
            limit: Limit::Operations(1),
            warmup: Duration::ZERO,
            keyspace: Keyspace {
                prefix: String::new(),
                key_bytes: 8,
                count: 10,
                order: Order::Random,
            },
            value_bytes: 16,
            rate: None,
        }
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        for (threads, clients, connections) in [(1, 1, 1), (3, 100, 10), (4, 2, 7)] {
            let shares = Share::divide(&workload(threads, clients, connections));
            assert_eq!(shares.len(), threads);
            assert_eq!(shares.iter().map(|share| share.clients).sum::<usize>(), clients);
            assert_eq!(shares.iter().map(|share| share.connections).sum::<usize>(), connections);
            assert_eq!(shares.iter().map(|share| share.watchers).sum::<usize>(), 5);
        }
    }

    #[test]
    fn a_server_that_is_away_fails_the_set_up() {
        let mut nothing = |_| {};
        let error = crate::load::run(&workload(1, 1, 1), &mut nothing).unwrap_err();
        assert!(error.to_string().starts_with("set-up failed: transport:"), "{error}");
    }
}
