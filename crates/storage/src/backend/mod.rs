//! The database: rows of the store and the applied position, written behind the reply path.

mod error;
mod files;
mod history;
mod load;
mod pending;
mod readers;
pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};

pub use error::BackendError;
pub use pending::Batch;
use pending::{Overlay, Queue};
use readers::Generation;
use writer::{Order, Writer};

use store::Change;

use crate::position::LogPosition;
use crate::snapshot::{SnapshotReader, SnapshotWriter};

/// Called once, on the writer's thread: everything enqueued before is committed and synced, and
/// this is the position it reaches, `None` while nothing has been applied. Must be quick.
pub type FlushDone = Box<dyn FnOnce(Result<Option<LogPosition>, BackendError>) + Send>;

/// Told how long each transaction took, on the writer's thread; must be quick.
pub type CommitObserver = Arc<dyn Fn(Duration) + Send + Sync>;

/// How the database is opened.
#[derive(Clone)]
pub struct BackendOptions {
    /// The directory of the database files; made when missing.
    pub path: PathBuf,
    /// Called once, on the writer's thread, when the database failed for good: end the process.
    pub on_fatal: Option<Arc<dyn Fn(String) + Send + Sync>>,
    /// Told of every transaction, with the sync and the checkpoint when one was due.
    pub commit_observer: Option<CommitObserver>,
}

impl BackendOptions {
    /// A database in the directory `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), on_fatal: None, commit_observer: None }
    }
}

/// How the writer is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Writing.
    Good,
    /// The last attempt found no room; what waits is tried again twice a second, and `enqueue`
    /// blocks once the queue is full. The log still holds everything.
    DiskFull,
    /// Stopped for good, for this reason.
    Failed(String),
}

/// The database; cloning shares it. Also the [`store::History`] of the store.
#[derive(Clone)]
pub struct Backend(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the callers and the writer's thread share.
struct Shared {
    view: RwLock<View>,
    queue: Queue,
    state: Mutex<Known>,
    directory: PathBuf,
    on_fatal: Option<Arc<dyn Fn(String) + Send + Sync>>,
    commit_observer: Option<CommitObserver>,
    /// Numbers the databases being received.
    incoming: AtomicU64,
    /// Stands for a small disk.
    #[cfg(test)]
    pages_max: AtomicU64,
}

/// What readers look at, under one lock: a snapshot replaces both at once.
struct View {
    overlay: Overlay,
    generation: Arc<Generation>,
}

struct Known {
    durable: Option<LogPosition>,
    membership: Option<Bytes>,
    health: Health,
}

impl Shared {
    fn set_health(&self, health: Health) {
        self.state.lock().health = health;
    }

    fn fail(&self, error: &BackendError) {
        self.set_health(Health::Failed(error.to_string()));
        if let Some(on_fatal) = &self.on_fatal {
            on_fatal(error.to_string());
        }
    }
}

impl Backend {
    /// Opens the database in a directory, or makes an empty one.
    ///
    /// # Errors
    /// When the directory cannot be used, or holds a database that is damaged or newer.
    pub fn open(options: BackendOptions) -> Result<Self, BackendError> {
        let (number, path) = files::open_directory(&options.path)?;
        let connection = schema::open_writer(&path)?;
        let at = |error| BackendError::sqlite("reading", &path, &error);
        let membership: Option<Vec<u8>> =
            schema::meta(&connection, schema::META_MEMBERSHIP).map_err(at)?;
        let generation = Arc::new(Generation::open(number, &path)?);
        let shared = Arc::new(Shared {
            view: RwLock::new(View { overlay: Overlay::default(), generation }),
            queue: Queue::default(),
            state: Mutex::new(Known {
                durable: None,
                membership: membership.map(Bytes::from),
                health: Health::Good,
            }),
            directory: options.path,
            on_fatal: options.on_fatal,
            commit_observer: options.commit_observer,
            incoming: AtomicU64::new(1),
            #[cfg(test)]
            pages_max: AtomicU64::new(u64::from(u32::MAX - 1)),
        });
        let writer = Writer::new(shared.clone(), connection, &path)?;
        let thread = std::thread::Builder::new()
            .name("db-writer".to_owned())
            .spawn(move || writer.run())
            .map_err(|error| BackendError::io("starting the writer of", &path, error))?;
        Ok(Self(Arc::new(Inner { shared, thread: Mutex::new(Some(thread)) })))
    }

    /// The applied position as the disk holds it for certain; `None` while nothing was applied.
    pub fn position(&self) -> Option<LogPosition> {
        self.durable()
    }

    /// The membership as of the last commit; `None` before the first.
    pub fn membership(&self) -> Option<Bytes> {
        self.0.shared.state.lock().membership.clone()
    }

    /// Hands over what was applied, in order. Its rows are readable when this returns; they are
    /// committed within about 100 ms and durable some time later. Blocks while 40 000 rows or
    /// 16 MiB wait. After the writer has stopped, what is handed over is dropped: the log holds it.
    ///
    /// # Panics
    /// When removals of rows come with anything else: they are carried out in several commits, the
    /// first of which would have the new rows and not yet their position.
    pub fn enqueue(&self, batch: Batch) {
        let removals = batch.changes.iter().filter(|it| matches!(it, Change::RowsRemoved(_)));
        let removals = removals.count();
        assert!(removals == 0 || removals == batch.changes.len(), "removals come alone");
        let shared = &self.0.shared;
        let _taken = shared.queue.push(batch, &shared.view);
    }

    /// Whether `enqueue` would take the batch without blocking, if nobody else enqueued meanwhile.
    pub fn has_room_for(&self, batch: &Batch) -> bool {
        self.0.shared.queue.has_room_for(batch)
    }

    /// Up to here the disk holds everything for certain: the log may be purged up to this
    /// position, never beyond. Advances after about 4 MiB of changes and with every flush.
    pub fn durable(&self) -> Option<LogPosition> {
        self.0.shared.state.lock().durable
    }

    /// Commits and syncs what was enqueued before.
    ///
    /// # Errors
    /// `done` gets one when the writer has stopped.
    pub fn flush(&self, done: FlushDone) {
        self.0.shared.queue.order(Order::Flush(done));
    }

    /// Freezes the state as of the last commit, for reading. Writes and further snapshots go on
    /// meanwhile, but the write-ahead file grows until the reader is dropped. Blocks for moments.
    ///
    /// # Errors
    /// When the database cannot be opened once more.
    pub fn snapshot(&self) -> Result<SnapshotReader, BackendError> {
        let generation = self.generation();
        match SnapshotReader::open(&generation.path) {
            // An installation removed the file between the two lines above.
            Err(_) if self.generation().number != generation.number => {
                SnapshotReader::open(&self.generation().path)
            }
            outcome => outcome,
        }
    }

    /// Starts to receive a snapshot into a new database beside the one in force.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn receive(&self) -> Result<SnapshotWriter, BackendError> {
        let number = self.0.shared.incoming.fetch_add(1, Ordering::Relaxed);
        SnapshotWriter::create(files::incoming_path(&self.0.shared.directory, number))
    }

    /// Puts a finished snapshot in force: afterwards every read finds what it holds, and what was
    /// enqueued before is forgotten. A crash leaves either the old database or the new one. Blocks.
    ///
    /// # Errors
    /// When the snapshot was not finished; any other error is fatal.
    pub fn install(&self, snapshot: SnapshotWriter) -> Result<(), BackendError> {
        let received = snapshot.into_received()?;
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        let done = Box::new(move |outcome| {
            // The receiver waits below.
            let _ = sender.send(outcome);
        });
        self.0.shared.queue.order(Order::Install(Box::new(received), done));
        receiver.recv().unwrap_or(Err(BackendError::Closed))
    }

    /// How the writer is doing.
    pub fn health(&self) -> Health {
        self.0.shared.state.lock().health.clone()
    }

    /// Rows that are handed over and not committed.
    pub fn pending_rows(&self) -> usize {
        self.0.shared.queue.waiting().rows
    }

    /// Bytes of the database file and its write-ahead file.
    pub fn size_bytes(&self) -> u64 {
        self.generation().size_bytes()
    }

    /// Bytes of pages that hold data. Blocks on a read.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn in_use_bytes(&self) -> Result<u64, BackendError> {
        self.generation().read(|connection| {
            let pragma =
                |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
            let pages = pragma("page_count")? - pragma("freelist_count")?;
            Ok((pages * pragma("page_size")?).unsigned_abs())
        })
    }

    fn generation(&self) -> Arc<Generation> {
        self.0.shared.view.read().generation.clone()
    }

    /// Commits and syncs what was enqueued, then stops the writer. Blocks.
    pub fn close(&self) {
        self.0.close();
    }
}

impl Inner {
    fn close(&self) {
        self.shared.queue.close();
        let Some(thread) = self.thread.lock().take() else { return };
        // A `FlushDone` may own the last handle, and then the writer's own thread is here.
        if thread.thread().id() != std::thread::current().id() {
            // A panic of the thread has been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}
