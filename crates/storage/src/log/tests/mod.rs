//! Tests of the log, over the file system that fails on demand.

mod behaviour;
mod crashes;
mod damage;

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::*;
use crate::files::faulty::Faulty;

/// A small segment: a few dozen small records.
const SEGMENT_BYTES: u64 = 4 << 10;
const DEADLINE: Duration = Duration::from_secs(20);

fn options() -> LogOptions {
    LogOptions { segment_bytes: SEGMENT_BYTES, ..LogOptions::new("/log") }
}

fn open(fs: &Faulty) -> (Log, LogState) {
    Log::open_in(Arc::new(fs.clone()), options()).expect("the log opens")
}

fn at(term: u64, index: u64) -> LogPosition {
    LogPosition::new(term, index)
}

fn record(term: u64, index: u64, bytes: usize) -> LogRecord {
    let payload = vec![(index % 251) as u8 ^ (term as u8); bytes].into();
    LogRecord { position: at(term, index), kind: 1, payload }
}

fn records(term: u64, indices: std::ops::Range<u64>, bytes: usize) -> Vec<LogRecord> {
    indices.map(|index| record(term, index, bytes)).collect()
}

/// Runs a call and waits for its outcome.
fn wait(call: impl FnOnce(Done)) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel();
    call(Box::new(move |outcome| sender.send(outcome).expect("somebody waits")));
    receiver.recv_timeout(DEADLINE).expect("an outcome in time")
}

fn append(log: &Log, records: Vec<LogRecord>) -> io::Result<()> {
    wait(|done| log.append(records, done))
}

fn all(log: &Log) -> Vec<LogRecord> {
    log.read(0, u64::MAX, u64::MAX).expect("readable")
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what} did not happen");
        std::thread::yield_now();
    }
}
