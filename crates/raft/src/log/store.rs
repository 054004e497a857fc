//! Writing the log.

use std::io;
use std::sync::Arc;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use parking_lot::Mutex;
use storage::{Done, Log, LogPosition, LogRecord};
use tokio::sync::oneshot;

use super::reader::LogReader;
use crate::codec::{Wire, encode_payload, log_id};
use crate::snapshot_trigger::SnapshotTrigger;
use crate::types::{Entry, LogId, TypeConfig, Vote};

/// The raft log of this member.
///
/// openraft calls it from its one core task and awaits most calls there, so whatever can be handed
/// to the log thread is: only a vote and a truncation are waited for, and, in a member that is
/// alone, the append of a lone client (decision 0007).
pub(crate) struct LogStore {
    reader: LogReader,
    /// The thread that appends has nothing else to do than to wait for the disk.
    may_wait: Box<dyn Fn() -> bool + Send + Sync>,
    committed: Option<LogId>,
    snapshot_trigger: Arc<SnapshotTrigger>,
}

impl LogStore {
    /// Wraps an open log; `vote` and `committed` are what it held.
    ///
    /// # Errors
    /// When the stored vote is not one.
    pub(crate) fn new(
        log: Log,
        state: &storage::LogState,
        snapshot_trigger: Arc<SnapshotTrigger>,
    ) -> io::Result<Self> {
        let vote = state
            .vote
            .clone()
            .map(|mut bytes| Vote::parse(&mut bytes))
            .transpose()
            .map_err(io::Error::other)?;
        let committed = state.committed.map(from_position);
        let reader = LogReader { log, recent: Arc::default(), vote: Arc::new(Mutex::new(vote)) };
        Ok(Self { reader, may_wait: Box::new(|| false), committed, snapshot_trigger })
    }

    /// Appends on the caller's thread whenever `may_wait` says so.
    pub(crate) fn waiting_if(
        mut self,
        may_wait: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        self.may_wait = Box::new(may_wait);
        self
    }
}

/// A position of the segment log in openraft's terms.
pub(crate) fn from_position(position: LogPosition) -> LogId {
    log_id(position.term, position.index)
}

/// The inverse of [`from_position`].
pub(crate) fn to_position(id: LogId) -> LogPosition {
    LogPosition { term: id.leader_id.term, index: id.index }
}

/// A callback for the log thread and the receiver of what it reports.
fn done() -> (Done, impl Future<Output = io::Result<()>>) {
    let (sender, receiver) = oneshot::channel();
    let done: Done = Box::new(move |result| {
        // Nobody listens any more when the core has stopped.
        let _ = sender.send(result);
    });
    let wait = async move {
        receiver.await.unwrap_or_else(|_| Err(io::Error::other("the log thread has stopped")))
    };
    (done, wait)
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: std::ops::RangeBounds<u64> + Clone + std::fmt::Debug + OptionalSend,
    {
        self.reader.try_get_log_entries(range).await
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        self.reader.read_vote().await
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, io::Error> {
        let (purged, last) = self.reader.log.state();
        let last_purged_log_id = purged.map(from_position);
        Ok(LogState {
            last_purged_log_id,
            last_log_id: last.map(from_position).or(last_purged_log_id),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        self.reader.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        let (done, wait) = done();
        self.reader.log.save_vote(vote.to_bytes(), done);
        wait.await?;
        *self.reader.vote.lock() = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        self.committed = committed;
        if let Some(committed) = committed {
            self.reader.log.save_committed(to_position(committed));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        // The mark is written without a sync of its own and may name an entry the crash took.
        let last = self.reader.log.state().1.map(from_position);
        Ok(self.committed.min(last))
    }

    async fn append<I>(
        &mut self,
        entries: I,
        callback: IOFlushed<TypeConfig>,
    ) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut records = Vec::new();
        let mut bytes = 0;
        let mut recent = self.reader.recent.lock();
        for entry in entries {
            let (kind, payload) = encode_payload(&entry.payload);
            bytes += payload.len() as u64;
            records.push(LogRecord { position: to_position(entry.log_id), kind, payload });
            recent.push(entry);
        }
        drop(recent);
        self.snapshot_trigger.appended(bytes);
        let done: Done = Box::new(move |result| callback.io_completed(result));
        if (self.may_wait)() {
            self.reader.log.append_here(records, done);
        } else {
            self.reader.log.append(records, done);
        }
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> Result<(), io::Error> {
        self.reader.recent.lock().truncate_after(last.map(|id| id.index));
        let (done, wait) = done();
        self.reader.log.truncate_after(last.map(to_position), done);
        wait.await
    }

    async fn purge(&mut self, upto: LogId) -> Result<(), io::Error> {
        self.reader.recent.lock().purge(upto.index);
        let (done, wait) = done();
        self.reader.log.purge(to_position(upto), done);
        wait.await
    }
}
