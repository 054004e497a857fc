//! What waits for the log's thread.

use std::io;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};

use super::{Done, LogRecord};
use crate::position::LogPosition;

/// One call, in the order of the calls.
pub(super) enum Job {
    Append {
        job: u64,
        records: Vec<LogRecord>,
        done: Done,
    },
    Vote {
        vote: Bytes,
        done: Done,
    },
    TruncateAfter {
        job: u64,
        keep: Option<LogPosition>,
        done: Done,
    },
    Purge {
        job: u64,
        upto: LogPosition,
        done: Done,
    },
    /// Not written; fails in its turn.
    Refused(io::Error, Done),
}

impl Job {
    fn bytes(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.iter().map(|record| record.payload.len()).sum(),
            _ => 0,
        }
    }
}

/// What the thread takes at once, payload bytes; a single longer call is taken whole.
const BATCH_BYTES_MAX: usize = 8 << 20;

/// Calls that wait. Bounded by the proposals and replication requests in flight, which the raft
/// layer bounds: blocking its task here would cost it its leadership.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: std::collections::VecDeque<Job>,
    committed: Option<LogPosition>,
    closing: bool,
    /// The thread has ended.
    closed: bool,
}

/// What is written and synced together.
#[derive(Default)]
pub(super) struct Taken {
    pub jobs: Vec<Job>,
    pub committed: Option<LogPosition>,
}

impl Queue {
    /// Adds a call; after the end of the thread it fails at once.
    pub fn push(&self, job: Job) {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            let error = io::Error::new(io::ErrorKind::BrokenPipe, "the raft log is closed");
            return job.finish(Err(error));
        }
        state.jobs.push_back(job);
        drop(state);
        self.filled.notify_one();
    }

    /// Keeps the newest committed position for the next batch; wakes nobody.
    pub fn set_committed(&self, position: LogPosition) {
        let mut state = self.state.lock();
        state.committed = state.committed.max(Some(position));
    }

    /// Waits for calls and takes them; `None` once the queue is closed and empty.
    pub fn take(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.closing {
            self.filled.wait(&mut state);
        }
        if state.jobs.is_empty() && state.committed.is_none() {
            state.closed = true;
            return None;
        }
        let mut taken = Taken { jobs: Vec::with_capacity(state.jobs.len()), committed: None };
        taken.committed = state.committed.take();
        let mut bytes = 0;
        while let Some(job) = state.jobs.pop_front() {
            bytes += job.bytes();
            taken.jobs.push(job);
            if bytes > BATCH_BYTES_MAX {
                break;
            }
        }
        Some(taken)
    }

    /// Lets the thread end once everything is written.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.filled.notify_one();
    }
}

impl Job {
    /// Tells the caller.
    pub fn finish(self, outcome: io::Result<()>) {
        match self {
            Self::Append { done, .. }
            | Self::Vote { done, .. }
            | Self::TruncateAfter { done, .. }
            | Self::Purge { done, .. } => done(outcome),
            Self::Refused(error, done) => done(outcome.and(Err(error))),
        }
    }
}
