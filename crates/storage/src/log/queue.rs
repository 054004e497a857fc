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

impl Taken {
    /// Somebody else has taken it all.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.committed.is_none()
    }
}

impl Queue {
    /// Adds a call for the thread and wakes it; after the end of the thread it fails at once.
    pub fn push(&self, job: Job) {
        if self.add(job) {
            self.filled.notify_one();
        }
    }

    /// Adds a call that the caller is going to take itself, if it is the only one.
    pub fn push_unseen(&self, job: Job) {
        self.add(job);
    }

    /// Whether the call is queued.
    fn add(&self, job: Job) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            drop(state);
            let error = io::Error::new(io::ErrorKind::BrokenPipe, "the raft log is closed");
            job.finish(Err(error));
            return false;
        }
        state.jobs.push_back(job);
        true
    }

    /// Keeps the newest committed position for the next batch; wakes nobody.
    pub fn set_committed(&self, position: LogPosition) {
        let mut state = self.state.lock();
        state.committed = state.committed.max(Some(position));
    }

    /// Waits for calls; false once the queue is closed and empty.
    pub fn wait(&self) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() && !state.closing {
            self.filled.wait(&mut state);
        }
        state.closed = state.jobs.is_empty() && state.committed.is_none();
        !state.closed
    }

    /// Whether no call waits.
    pub fn is_empty(&self) -> bool {
        self.state.lock().jobs.is_empty()
    }

    /// Takes the call that waits if there is exactly one, else leaves them all to the thread. For
    /// the holder of the writer, as [`Self::take`].
    pub fn take_only(&self) -> Option<Taken> {
        let mut state = self.state.lock();
        if state.jobs.len() == 1 {
            let jobs = state.jobs.pop_front().into_iter().collect();
            return Some(Taken { jobs, committed: state.committed.take() });
        }
        drop(state);
        self.filled.notify_one();
        None
    }

    /// Takes what waits, which may be nothing. Only whoever holds the writer calls this: that
    /// keeps the order of the calls.
    pub fn take(&self) -> Taken {
        let mut state = self.state.lock();
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
        taken
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
