//! The raft log: segment files written by one thread, one sync per batch.

mod error;
mod format;
mod queue;
mod read;
mod recovery;
mod spares;
#[cfg(test)]
mod tests;
mod view;
mod window;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

pub use error::LogError;
pub use format::ENTRY_BYTES_MAX;
use queue::{Job, Queue};
use recovery::{End, recover, segment_files};
use spares::Spares;
use view::View;
use writer::Writer;

use crate::files::{Disk, Fs};
use crate::position::LogPosition;

/// Called once with the outcome, in the order of the calls, on the log's thread or on that of a
/// caller of [`Log::append_here`]; must be quick, and must not drop the last handle on the log.
pub type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// Told how long each sync took, on the thread that did it; must be quick.
pub type SyncObserver = Arc<dyn Fn(Duration) + Send + Sync>;

/// Size of a full segment, bytes.
const SEGMENT_BYTES_DEFAULT: u64 = 64 << 20;
/// Largest size of a segment, bytes: offsets are 32 bits wide and one entry may exceed the size.
const SEGMENT_BYTES_MAX: u64 = 1 << 30;
/// Size of the first segment, bytes; each further one is twice as long up to the full size, so
/// that an empty member starts at once and a small one stays small.
const FIRST_SEGMENT_BYTES: u64 = 1 << 20;
/// Memory for recent entries, bytes.
const TAIL_CACHE_BYTES_DEFAULT: usize = 1 << 20;
/// Largest vote, bytes: it is repeated in segment headers.
const VOTE_BYTES_MAX: usize = 4 << 10;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRecord {
    /// Its term and index; indices are consecutive.
    pub position: LogPosition,
    /// The caller's own mark; not looked at.
    pub kind: u8,
    /// The caller's bytes, at most [`ENTRY_BYTES_MAX`].
    pub payload: Bytes,
}

/// How a log is opened.
#[derive(Clone)]
pub struct LogOptions {
    /// Where its files are; made when missing.
    pub directory: PathBuf,
    /// Size of a full segment, bytes; at most 1 GiB. A longer entry gets a segment of its own size.
    pub segment_bytes: u64,
    /// Memory for recent entries, bytes. Entries not yet synced stay in memory beyond that.
    pub tail_cache_bytes_max: usize,
    /// Refuse a directory without a log: this member had one, an empty disk is a lost disk.
    pub must_exist: bool,
    /// Told of every sync.
    pub sync_observer: Option<SyncObserver>,
}

impl LogOptions {
    /// Defaults for a log in `directory`: segments of 64 MiB, 1 MiB of recent entries.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            tail_cache_bytes_max: TAIL_CACHE_BYTES_DEFAULT,
            must_exist: false,
            sync_observer: None,
        }
    }
}

/// What a log held when it was opened; all of it is synced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogState {
    /// The last vote saved.
    pub vote: Option<Bytes>,
    /// The last committed position saved; may be older than the one reported last.
    pub committed: Option<LogPosition>,
    /// Entries up to here are gone.
    pub purged: Option<LogPosition>,
    /// The last entry, or `purged` when there is none after it.
    pub last: Option<LogPosition>,
}

/// The raft log; cloning shares it. Writes are queued and take effect in the order of the calls.
#[derive(Clone)]
pub struct Log(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    /// Held by the log's thread while it writes. Never waited for by callers.
    writer: Arc<Mutex<Writer>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the callers and the writer's thread share.
struct Shared {
    /// Locked before the queue's own lock when both are held, so that jobs are queued in the order
    /// in which they changed the view.
    view: RwLock<View>,
    queue: Queue,
    spares: Arc<Spares>,
    directory: PathBuf,
}

impl Log {
    /// Opens the log in a directory, or makes an empty one.
    ///
    /// # Errors
    /// When the directory cannot be used, or holds a log that is damaged, missing though it must
    /// exist, or written by a newer release.
    pub fn open(options: LogOptions) -> Result<(Self, LogState), LogError> {
        Self::open_in(Arc::new(Disk), options)
    }

    fn open_in(fs: Arc<dyn Fs>, options: LogOptions) -> Result<(Self, LogState), LogError> {
        assert!(options.segment_bytes <= SEGMENT_BYTES_MAX, "segments are at most 1 GiB");
        let directory = options.directory.clone();
        let at = |error| LogError::io("opening the log in", &directory, error);
        let files = existing_segments(fs.as_ref(), &options)?;
        let mut recovered = if files.is_empty() {
            recovery::nothing(options.tail_cache_bytes_max)
        } else {
            recover(fs.as_ref(), &files, options.tail_cache_bytes_max)?
        };
        if options.must_exist && recovered.end == End::Empty && files.len() == 1 {
            return Err(LogError::Missing { directory });
        }
        let state = LogState {
            vote: recovered.summary.vote.clone(),
            committed: recovered.summary.committed,
            purged: recovered.summary.purged,
            last: recovered.summary.last,
        };
        for path in &recovered.leftover {
            fs.remove(path).map_err(at)?;
        }
        let spares = Spares::open(fs.clone(), &directory, options.segment_bytes).map_err(at)?;
        let view = std::mem::replace(&mut recovered.view, View::new(None, None, 0));
        let shared = Arc::new(Shared {
            view: RwLock::new(view),
            queue: Queue::default(),
            spares: spares.clone(),
            directory: directory.clone(),
        });
        let mut writer = Writer::new(fs, shared.clone(), &options, &recovered);
        writer.start(recovered.end).map_err(at)?;
        let mut threads = vec![spares.start().map_err(at)?];
        let writer = Arc::new(Mutex::new(writer));
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let of_thread = writer.clone();
        threads.push(thread.spawn(move || Writer::run(&of_thread)).map_err(at)?);
        let threads = Mutex::new(threads);
        Ok((Self(Arc::new(Inner { shared, writer, threads })), state))
    }

    /// Appends entries; they are readable when this returns and `done` is called once they are
    /// synced. Does not block on I/O.
    ///
    /// The queue is not bounded here: the caller bounds what it proposes, and blocking the raft
    /// task would lose it its leadership.
    ///
    /// # Errors
    /// `done` gets `InvalidInput`, and nothing is appended, when an entry is longer than
    /// [`ENTRY_BYTES_MAX`]; any other error means that the log has stopped for ever.
    ///
    /// # Panics
    /// When the indices are not consecutive.
    pub fn append(&self, records: Vec<LogRecord>, done: Done) {
        if records.iter().any(|record| record.payload.len() > ENTRY_BYTES_MAX) {
            let text = format!("an entry is longer than {ENTRY_BYTES_MAX} bytes");
            self.submit(|_| Job::Refused(io::Error::new(io::ErrorKind::InvalidInput, text), done));
            return;
        }
        self.submit(|view| Job::Append { job: view.append(&records), records, done });
    }

    /// As [`Self::append`], but the calling thread writes and syncs, and calls `done`, when the
    /// log's thread is idle, the last sync took at most 5 ms and the segment has room: for a caller
    /// that has nothing better to do than to wait, this saves two changes of thread, which cost
    /// about as much as the sync. Otherwise, and for more than 64 KiB, the log's thread does it.
    ///
    /// # Errors
    /// As [`Self::append`].
    ///
    /// # Panics
    /// As [`Self::append`].
    pub fn append_here(&self, records: Vec<LogRecord>, done: Done) {
        let writer = self.0.writer.try_lock();
        let Some(mut writer) = writer.filter(|writer| writer.can_append_here(&records)) else {
            return self.append(records, done);
        };
        let shared = &self.0.shared;
        {
            let mut view = shared.view.write();
            let job = view.append(&records);
            shared.queue.push_unseen(Job::Append { job, records, done });
        }
        // Unless somebody else has just queued something: then the log's thread takes both.
        if let Some(taken) = shared.queue.take_only() {
            writer.batch(taken);
        }
    }

    /// Saves the vote; `done` is called once it and everything before it are synced.
    ///
    /// # Panics
    /// When the vote is longer than 4 KiB.
    pub fn save_vote(&self, vote: Bytes, done: Done) {
        assert!(vote.len() <= VOTE_BYTES_MAX, "a vote is a few dozen bytes");
        self.submit(|_| Job::Vote { vote, done });
    }

    /// Notes how far the log is committed. It is written with the next batch, without a sync of
    /// its own; after a crash an older position may be found.
    pub fn save_committed(&self, position: LogPosition) {
        self.0.shared.queue.set_committed(position);
    }

    /// Removes the entries after `keep`, all of them when `None`. They are unreadable when this
    /// returns; `done` is called once that is synced.
    pub fn truncate_after(&self, keep: Option<LogPosition>, done: Done) {
        self.submit(|view| Job::TruncateAfter { job: view.truncate_after(keep), keep, done });
    }

    /// Removes the entries up to and including `upto`, which may lie beyond the last one. They are
    /// unreadable when this returns; `done` is called once the mark is synced. Files go afterwards.
    pub fn purge(&self, upto: LogPosition, done: Done) {
        self.submit(|view| Job::Purge { job: view.purge(upto), upto, done });
    }

    fn submit(&self, job: impl FnOnce(&mut View) -> Job) {
        let shared = &self.0.shared;
        let mut view = shared.view.write();
        let job = job(&mut view);
        shared.queue.push(job);
    }

    /// Entries with `from <= index < to_exclusive`, in order and without a gap, starting with the
    /// first that exists: at least one if there is any, more while their payloads together stay
    /// within `bytes_max`. Recent ones come from memory; older ones block on a read.
    ///
    /// # Errors
    /// When the disk cannot be read or what it returns is damaged.
    pub fn read(
        &self,
        from: u64,
        to_exclusive: u64,
        bytes_max: u64,
    ) -> Result<Vec<LogRecord>, LogError> {
        let mut records = Vec::new();
        let mut bytes_left = bytes_max;
        loop {
            let next = records.last().map_or(from, |last: &LogRecord| last.position.index + 1);
            let before = records.len();
            let done = self.read_step(next, to_exclusive, &mut bytes_left, &mut records)?;
            if done || bytes_left == 0 || records.len() == before {
                return Ok(records);
            }
        }
    }

    /// Reads from memory, or from one stretch of the disk. True when there is nothing more to get.
    fn read_step(
        &self,
        from: u64,
        to: u64,
        bytes_left: &mut u64,
        records: &mut Vec<LogRecord>,
    ) -> Result<bool, LogError> {
        let view = self.0.shared.view.read();
        let from = from.max(view.first_index());
        let to = to.min(view.last.map_or(0, |last| last.index + 1));
        if from >= to {
            return Ok(true);
        }
        let tail_first = view.tail_first().unwrap_or(u64::MAX);
        if from >= tail_first {
            view.read_tail(from, to, bytes_left, records);
            return Ok(true);
        }
        let Some(span) = view.span(from) else {
            return Err(self.unmarked(from));
        };
        drop(view);
        match read::read_span(&span, from, to.min(tail_first), bytes_left, records) {
            Ok(()) => Ok(false),
            // The file was recycled under the reader's hands.
            Err(_) if self.state().0.is_some_and(|purged| purged.index >= from) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn unmarked(&self, index: u64) -> LogError {
        LogError::Corrupt {
            path: self.0.shared.directory.clone(),
            offset: 0,
            reason: format!("entry {index} is neither in memory nor in a segment"),
        }
    }

    /// The last purged position, and the last entry or that.
    pub fn state(&self) -> (Option<LogPosition>, Option<LogPosition>) {
        let view = self.0.shared.view.read();
        (view.purged, view.last)
    }

    /// Term and index of the entry `index`, or of the purged one when it is the last purged.
    ///
    /// # Errors
    /// When it has to be read from disk and cannot be.
    pub fn position_of(&self, index: u64) -> Result<Option<LogPosition>, LogError> {
        {
            let view = self.0.shared.view.read();
            let known = [view.purged, view.last, view.in_tail(index).map(|held| held.position)];
            if let Some(found) = known.into_iter().flatten().find(|known| known.index == index) {
                return Ok(Some(found));
            }
        }
        Ok(self.read(index, index + 1, 0)?.first().map(|record| record.position))
    }

    /// Whether the next segment is there or can be made. While it is not, the disk is full: refuse
    /// client writes, which the rest of the active segment still takes if they are under way. Turns
    /// true by itself once there is room.
    pub fn has_room(&self) -> bool {
        self.0.shared.spares.has_room()
    }

    /// Bytes taken on disk, what is set aside included.
    pub fn bytes_on_disk(&self) -> u64 {
        let segments: u64 =
            self.0.shared.view.read().segments.values().map(|segment| segment.capacity).sum();
        segments + self.0.shared.spares.bytes()
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0.shared.directory
    }

    /// Writes and syncs what is queued, then stops the threads. Later calls fail. Blocks.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.close();
        self.shared.spares.drain();
        let threads = std::mem::take(&mut *self.threads.lock());
        for thread in threads.into_iter().rev() {
            // A `Done` may own the last handle on the log, and then the log's own thread is here.
            if thread.thread().id() != std::thread::current().id() {
                // A panic of the thread has been reported by the panic hook.
                let _ = thread.join();
            }
            self.shared.spares.close();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

fn existing_segments(fs: &dyn Fs, options: &LogOptions) -> Result<Vec<(u64, PathBuf)>, LogError> {
    let directory = &options.directory;
    if !options.must_exist {
        fs.create_dir(directory).map_err(|error| LogError::io("making", directory, error))?;
    }
    let missing = || LogError::Missing { directory: directory.clone() };
    match segment_files(fs, directory) {
        Ok(files) if files.is_empty() && options.must_exist => Err(missing()),
        Err(LogError::Io { source, .. })
            if source.kind() == io::ErrorKind::NotFound && options.must_exist =>
        {
            Err(missing())
        }
        other => other,
    }
}
