//! Reading the log: for replication, for applying, and at start.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use openraft::OptionalSend;
use openraft::storage::RaftLogReader;
use parking_lot::Mutex;
use storage::{Log, LogRecord};

use super::recent::Recent;
use crate::codec::{decode_payload, log_id};
use crate::types::{Entry, TypeConfig, Vote};

/// What one replication request carries at most. openraft bounds it by a count of entries only,
/// and 300 entries of 1.5 MiB would be one request of 450 MiB.
const REPLICATION_BYTES_MAX: u64 = 1 << 20;

/// What one step of a longer read takes from the segment log.
const READ_BYTES_MAX: u64 = 4 << 20;

/// A handle for reading; clones share everything.
#[derive(Clone)]
pub(crate) struct LogReader {
    pub(super) log: Log,
    pub(super) recent: Arc<Mutex<Recent>>,
    pub(super) vote: Arc<Mutex<Option<Vote>>>,
}

impl LogReader {
    fn read(&self, from: u64, to: u64, bytes_max: u64) -> io::Result<Vec<Entry>> {
        let near = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        if let Some(entries) = self.recent.lock().get(from, to, near) {
            return Ok(entries);
        }
        let records = self.log.read(from, to, bytes_max).map_err(io::Error::other)?;
        records.into_iter().map(decode).collect()
    }

    /// Some of the entries `from..to`, none only if that is empty.
    fn read_without_gap(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        if from >= to {
            return Ok(Vec::new());
        }
        let entries = self.read(from, to, READ_BYTES_MAX)?;
        match entries.first() {
            Some(first) if first.log_id.index == from => Ok(entries),
            _ => Err(io::Error::other(format!("entry {from} was purged before it was applied"))),
        }
    }

    fn end_of_log(&self) -> u64 {
        self.log.state().1.map_or(0, |last| last.index + 1)
    }

    fn read_all(&self, from: u64, to: u64) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut next = from;
        while next < to {
            let step = self.read(next, to, READ_BYTES_MAX)?;
            let Some(last) = step.last() else { break };
            next = last.log_id.index + 1;
            entries.extend(step);
        }
        Ok(entries)
    }
}

fn decode(record: LogRecord) -> io::Result<Entry> {
    let payload = decode_payload(record.kind, record.payload).map_err(io::Error::other)?;
    Ok(Entry { log_id: log_id(record.position.term, record.position.index), payload })
}

/// `from..to` of a range; an open end is the end of the log.
fn bounds(range: &impl RangeBounds<u64>, end_of_log: u64) -> (u64, u64) {
    let from = match range.start_bound() {
        Bound::Included(index) => *index,
        Bound::Excluded(index) => index + 1,
        Bound::Unbounded => 0,
    };
    let to = match range.end_bound() {
        Bound::Included(index) => index + 1,
        Bound::Excluded(index) => *index,
        Bound::Unbounded => end_of_log,
    };
    (from, to)
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let (from, to) = bounds(&range, self.end_of_log());
        self.read_all(from, to)
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        let entries = self.read(start, end, REPLICATION_BYTES_MAX)?;
        // A replication that was called off may still read what a purge is taking away. Entries
        // after a gap must not leave: openraft would name the one before the gap as their
        // predecessor. For an empty answer it sends a heartbeat and asks again.
        let follows = entries.first().is_some_and(|first| first.log_id.index == start);
        Ok(if follows { entries } else { Vec::new() })
    }

    /// What is to be applied, piece by piece. A purge may take entries away between the order to
    /// apply them and their reading: that must end the member, and not its agreement with the
    /// others.
    async fn entries_stream<RB>(
        &mut self,
        range: RB,
    ) -> impl Stream<Item = io::Result<Entry>> + OptionalSend
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let end_of_log = self.end_of_log();
        let (from, to) = bounds(&range, end_of_log);
        let left = (self.clone(), from, to.min(end_of_log));
        let pieces = stream::try_unfold(left, |(reader, next, to)| async move {
            let piece = reader.read_without_gap(next, to)?;
            let Some(last) = piece.last() else { return Ok::<_, io::Error>(None) };
            let after = last.log_id.index + 1;
            Ok(Some((stream::iter(piece.into_iter().map(Ok)), (reader, after, to))))
        });
        pieces.try_flatten().boxed()
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        Ok(*self.vote.lock())
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use openraft::EntryPayload;
    use openraft::storage::{IOFlushed, RaftLogStorage};
    use storage::LogOptions;
    use tempfile::TempDir;

    use super::*;
    use crate::log::LogStore;
    use crate::snapshot_trigger::SnapshotTrigger;

    /// A log of the entries 0 to 9, of which those up to 4 were purged.
    async fn purged() -> (TempDir, LogReader) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (log, state) = Log::open(LogOptions::new(directory.path())).expect("a fresh log");
        let trigger = Arc::new(SnapshotTrigger::new(u64::MAX, 0));
        let mut store = LogStore::new(log, &state, trigger).expect("no vote yet");
        let entries =
            (0..10).map(|index| Entry { log_id: log_id(1, index), payload: EntryPayload::Blank });
        store.append(entries, IOFlushed::noop()).await.expect("room");
        store.purge(log_id(1, 4)).await.expect("a mark");
        let reader = store.get_log_reader().await;
        (directory, reader)
    }

    fn indexes(entries: &[Entry]) -> Vec<u64> {
        entries.iter().map(|entry| entry.log_id.index).collect()
    }

    /// openraft would send the entries after a hole with the one before it as their predecessor,
    /// and a follower would take them for the next ones.
    #[tokio::test]
    async fn replication_gets_nothing_rather_than_entries_after_a_hole() {
        let (_directory, mut reader) = purged().await;
        let across = reader.limited_get_log_entries(3, 8).await.expect("a readable log");
        assert_eq!(indexes(&across), [0; 0]);
        let behind = reader.limited_get_log_entries(5, 8).await.expect("a readable log");
        assert_eq!(indexes(&behind), [5, 6, 7]);
    }

    /// Skipped silently, this member's state would no longer be that of the others.
    #[tokio::test]
    async fn applying_fails_rather_than_skip_purged_entries() {
        let (_directory, mut reader) = purged().await;
        let across: Vec<_> = reader.entries_stream(3..8).await.collect().await;
        assert!(across.len() == 1 && across[0].is_err(), "nothing is applied");
        let behind: Vec<_> = reader.entries_stream(5..8).await.collect().await;
        let behind: Vec<Entry> = behind.into_iter().map(|entry| entry.expect("there")).collect();
        assert_eq!(indexes(&behind), [5, 6, 7]);
    }
}
