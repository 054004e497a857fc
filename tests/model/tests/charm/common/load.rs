//! A client that writes while the cluster changes, and says what it noticed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quorate_tests::{Answer, Client, pb};
use tokio::runtime::{Builder, Runtime};
use tonic::{Code, Status};

/// How long one try may take: a leader's election timeout and a half.
const TRY_MAX: Duration = Duration::from_millis(2_500);
/// A write that is not acknowledged within this has failed, however often it was tried: two
/// election timeouts of up to 1.5 s, and what a busy machine with two cores adds.
const WRITE_MAX: Duration = Duration::from_secs(6);
/// Between two tries, and between two writes.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes `load/<n>` one after another until it is stopped.
pub struct Load {
    urls: Arc<Mutex<Vec<String>>>,
    must_end: Arc<AtomicBool>,
    thread: Option<JoinHandle<Report>>,
}

/// What a load noticed.
#[derive(Debug, Default)]
pub struct Report {
    /// Writes that were acknowledged: `load/0` up to this number.
    pub acknowledged: usize,
    /// Tries that failed, each followed by an acknowledged one.
    pub disturbances: Vec<Disturbance>,
    /// Writes that were never acknowledged, and errors no client can go on after.
    pub failures: Vec<String>,
    /// The longest a write took, tries included.
    pub slowest: Duration,
}

/// A try that failed.
#[derive(Debug)]
pub struct Disturbance {
    /// The member that was asked.
    pub url: String,
    /// What it said.
    pub error: String,
    /// True when the raft term had changed by the next acknowledged write.
    pub has_new_term: bool,
}

impl Report {
    /// Panics when a write failed, or was disturbed without a change of the raft leader and by a
    /// member that was there to stay.
    pub fn must_explain_all(&self, gone: &BTreeSet<String>) {
        assert!(self.failures.is_empty(), "writes failed: {:#?}", self.failures);
        let is_unexplained = |one: &&Disturbance| !one.has_new_term && !gone.contains(&one.url);
        let unexplained: Vec<_> = self.disturbances.iter().filter(is_unexplained).collect();
        assert!(unexplained.is_empty(), "disturbed without a leader change: {unexplained:#?}");
        assert!(self.acknowledged > 0, "nothing was written");
    }
}

impl Load {
    /// Starts writing at these members.
    pub fn start(urls: Vec<String>) -> Self {
        let urls = Arc::new(Mutex::new(urls));
        let must_end = Arc::new(AtomicBool::new(false));
        let writer = Writer::new(Arc::clone(&urls));
        let end = Arc::clone(&must_end);
        let thread = Some(std::thread::spawn(move || writer.run(&end)));
        Self { urls, must_end, thread }
    }

    /// From now on, these are the members.
    pub fn use_members(&self, urls: Vec<String>) {
        *self.urls.lock().unwrap_or_else(PoisonError::into_inner) = urls;
    }

    /// Stops writing.
    pub fn end(mut self) -> Report {
        self.must_end.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("a load ends once");
        thread.join().expect("the writer does not panic")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.must_end.store(true, Ordering::Relaxed);
    }
}

struct Writer {
    runtime: Runtime,
    urls: Arc<Mutex<Vec<String>>>,
    /// The member in use, kept until it fails, as etcd's clients do.
    client: Option<(String, Client)>,
    next: usize,
    term: u64,
    report: Report,
}

impl Writer {
    fn new(urls: Arc<Mutex<Vec<String>>>) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { runtime, urls, client: None, next: 0, term: 0, report: Report::default() }
    }

    fn run(mut self, must_end: &AtomicBool) -> Report {
        while !must_end.load(Ordering::Relaxed) && self.report.failures.is_empty() {
            self.write(self.report.acknowledged);
            std::thread::sleep(PAUSE);
        }
        self.report
    }

    fn write(&mut self, number: usize) {
        let began = Instant::now();
        let mut failed: Vec<Disturbance> = Vec::new();
        loop {
            let (url, answer) = self.attempt(number);
            match answer {
                Ok(term) => {
                    let has_new_term = term != self.term;
                    self.term = term;
                    self.report.acknowledged += 1;
                    self.report.slowest = self.report.slowest.max(began.elapsed());
                    let known = failed.into_iter().map(|one| Disturbance { has_new_term, ..one });
                    self.report.disturbances.extend(known);
                    return;
                }
                Err(error) => {
                    self.client = None;
                    let text = format!("{:?}: {}", error.code(), error.message());
                    if !may_be_tried_again(&error) || began.elapsed() > WRITE_MAX {
                        let ms = began.elapsed().as_millis();
                        let line =
                            format!("load/{number} at {url} after {ms} ms: {text}; {failed:?}");
                        self.report.failures.push(line);
                        return;
                    }
                    failed.push(Disturbance { url, error: text, has_new_term: false });
                }
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// The term in the reply.
    fn attempt(&mut self, number: usize) -> (String, Answer<u64>) {
        let (url, client) = self.client();
        let request = pb::PutRequest {
            key: format!("load/{number}").into(),
            value: number.to_string().into(),
            ..Default::default()
        };
        let answer = self.runtime.block_on(client.put(request));
        let term = answer.map(|answer| answer.header.map_or(0, |header| header.raft_term));
        (url, term)
    }

    fn client(&mut self) -> (String, Client) {
        if let Some(used) = &self.client {
            return used.clone();
        }
        let urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.next += 1;
        let url = urls[self.next % urls.len()].clone();
        let _context = self.runtime.enter();
        let client = Client::new(&url).with_timeout(TRY_MAX);
        self.client.insert((url, client)).clone()
    }
}

/// Errors after which etcd's clients go on: the member is away, has no leader, or was too slow.
fn may_be_tried_again(error: &Status) -> bool {
    matches!(error.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
        || error.message().contains("transport error")
}
