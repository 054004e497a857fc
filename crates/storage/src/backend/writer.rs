//! The writer's thread: one connection, one transaction at a time, off the reply path.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::etcdserverpb::Member;
use prost::Message;
use rusqlite::{Connection, params};
use store::{Change, Revision, RowKind};

use super::error::BackendError;
use super::files::{put_in_force, remove_state};
use super::pending::{Batch, COMMIT_ROWS, Work, weight_of};
use super::readers::{Generation, wal_path};
use super::{FlushDone, Health, Shared, schema};
use crate::position::LogPosition;
use crate::snapshot::Received;

/// The write-ahead file is synced, and what it holds counted as durable, when this many bytes of
/// pages have been written since the last sync.
const SYNC_BYTES: u64 = 4 << 20;
/// The write-ahead file is copied into the database when it holds this many bytes of pages.
const CHECKPOINT_BYTES: u64 = 16 << 20;
/// Pages given back to the file system in one step.
const VACUUM_PAGES: i64 = 128;
/// Free pages are kept for reuse up to this many, or a quarter of the file if that is more.
const FREE_PAGES_KEPT: i64 = 1024;
/// Pause before the next attempt while the disk is full.
const FULL_RETRY: Duration = Duration::from_millis(500);
/// Nice value of the thread: replies come first.
const NICE: i32 = 5;

const PAGE_BYTES: u64 = 4096;

/// What the writer is asked for beside committing.
pub(super) enum Order {
    /// Commit and sync.
    Flush(FlushDone),
    /// Put a received database in force.
    Install(Box<Received>, Box<dyn FnOnce(Result<(), BackendError>) + Send>),
}

impl Order {
    pub fn refuse(self, error: BackendError) {
        match self {
            Self::Flush(done) => done(Err(error)),
            Self::Install(_, done) => done(Err(error)),
        }
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    path: PathBuf,
    wal: File,
    /// Pages in the write-ahead file, as SQLite reports them after each commit on this thread.
    wal_pages: Arc<AtomicU64>,
    /// In the last transaction.
    committed: Option<LogPosition>,
    /// Pages in the write-ahead file when it was last synced.
    synced_pages: u64,
    /// Pages in the write-ahead file when it was last copied, all of it or not.
    checkpointed_pages: u64,
    /// Rows were deleted and there may be pages to give back.
    housekeeping: bool,
}

/// Why a transaction failed.
enum Failure {
    Full,
    Fatal(BackendError),
}

impl Writer {
    /// Takes over a connection that `schema::open_writer` made, and syncs what it finds.
    pub fn new(
        shared: Arc<Shared>,
        connection: Connection,
        path: &Path,
    ) -> Result<Self, BackendError> {
        let wal = open_wal(&connection, path)?;
        let committed = schema::position(&connection)
            .map_err(|error| BackendError::sqlite("reading", path, &error))?;
        let mut writer = Self {
            shared,
            connection,
            path: path.to_owned(),
            wal,
            wal_pages: Arc::default(),
            committed,
            synced_pages: 0,
            checkpointed_pages: 0,
            housekeeping: false,
        };
        writer.watch_wal()?;
        writer.sync()?;
        Ok(writer)
    }

    fn watch_wal(&mut self) -> Result<(), BackendError> {
        let pages = Arc::new(AtomicU64::new(0));
        self.wal_pages = pages.clone();
        (self.synced_pages, self.checkpointed_pages) = (0, 0);
        self.connection
            .wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, count| {
                pages.store(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
                Ok(())
            }))
            .map_err(|error| BackendError::sqlite("opening", &self.path, &error))
    }

    /// Works until the backend is closed or fails.
    pub fn run(mut self) {
        // Best effort: without the right to it the thread competes like the others.
        let _ = rustix::process::setpriority_process(None, NICE);
        let outcome = self.work();
        if let Err(error) = &outcome {
            self.shared.fail(error);
        }
        self.shared.queue.end(&outcome.err().unwrap_or(BackendError::Closed));
    }

    fn work(&mut self) -> Result<(), BackendError> {
        loop {
            match self.shared.queue.next(self.housekeeping) {
                Work::Commit(batches) => {
                    if !self.commit(&batches)? {
                        return Ok(());
                    }
                }
                Work::Order(Order::Flush(done)) => {
                    let outcome = self.sync();
                    done(outcome.clone().map(|()| self.committed));
                    outcome?;
                }
                Work::Order(Order::Install(received, done)) => {
                    let outcome = self.install(*received);
                    done(outcome.clone());
                    outcome?;
                }
                Work::Idle => self.housekeeping = self.vacuum_step()?,
                Work::Close => return self.sync(),
            }
        }
    }

    /// Commits, trying again while the disk is full. False when the backend is closed meanwhile:
    /// the log still holds what was not committed.
    fn commit(&mut self, batches: &[Batch]) -> Result<bool, BackendError> {
        let begin = loop {
            let begin = Instant::now();
            match self.transaction(batches) {
                Ok(()) => break begin,
                Err(Failure::Fatal(error)) => return Err(error),
                Err(Failure::Full) => {
                    self.shared.set_health(Health::DiskFull);
                    if self.shared.queue.pause(FULL_RETRY) {
                        return Ok(false);
                    }
                }
            }
        };
        self.shared.set_health(Health::Good);
        if let Some(last) = last_row(batches) {
            self.shared.view.write().overlay.drop_through(last);
        }
        self.shared.queue.committed(weight_of(batches));
        self.sync_and_checkpoint()?;
        if let Some(observer) = &self.shared.commit_observer {
            observer(begin.elapsed());
        }
        Ok(true)
    }

    fn transaction(&mut self, batches: &[Batch]) -> Result<(), Failure> {
        let outcome = self.write(batches);
        let Err(error) = outcome else { return Ok(()) };
        if !self.connection.is_autocommit() {
            // A failed rollback shows in the next attempt, as an error of its own.
            let _ = self.connection.execute_batch("ROLLBACK");
        }
        match BackendError::sqlite("writing", &self.path, &error) {
            BackendError::DiskFull { .. } => Err(Failure::Full),
            error => Err(Failure::Fatal(error)),
        }
    }

    fn write(&mut self, batches: &[Batch]) -> rusqlite::Result<()> {
        #[cfg(test)]
        self.shared.limit_pages(&self.connection)?;
        let mut transaction = Transaction::begin(&self.connection, self.committed)?;
        for batch in batches {
            for change in &batch.changes {
                self.housekeeping |= matches!(change, Change::RowsRemoved(_));
                transaction.apply(change)?;
            }
            transaction.finish(batch)?;
        }
        self.committed = transaction.commit()?;
        if let Some(membership) = batches.iter().rev().find_map(|batch| batch.membership.clone()) {
            self.shared.state.lock().membership = Some(membership);
        }
        Ok(())
    }

    fn sync_and_checkpoint(&mut self) -> Result<(), BackendError> {
        let pages = self.wal_pages.load(Ordering::Relaxed);
        if pages < self.synced_pages {
            // SQLite has begun the file anew.
            (self.synced_pages, self.checkpointed_pages) = (0, 0);
        }
        if (pages - self.synced_pages) * PAGE_BYTES >= SYNC_BYTES {
            self.sync()?;
        }
        if (pages - self.checkpointed_pages) * PAGE_BYTES >= CHECKPOINT_BYTES {
            self.sync()?;
            self.checkpoint()?;
        }
        Ok(())
    }

    /// Makes what is committed durable. In NORMAL mode SQLite syncs the write-ahead file only
    /// around a checkpoint; its frames carry checksums, so that once the file is synced, recovery
    /// finds the last commit in it.
    fn sync(&mut self) -> Result<(), BackendError> {
        self.wal
            .sync_data()
            .map_err(|error| BackendError::io("syncing", &wal_path(&self.path), error))?;
        self.synced_pages = self.wal_pages.load(Ordering::Relaxed);
        self.shared.state.lock().durable = self.committed;
        Ok(())
    }

    /// Copies the write-ahead file into the database as far as readers allow. When all of it was
    /// copied and nobody reads from it, the next transaction begins the file anew; a snapshot that
    /// is being read holds that off, and the file grows until it ends.
    fn checkpoint(&mut self) -> Result<(), BackendError> {
        let outcome = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        self.checkpointed_pages = self.wal_pages.load(Ordering::Relaxed);
        match outcome.map_err(|error| BackendError::sqlite("copying", &self.path, &error)) {
            // Nothing is lost: the pages stay in the write-ahead file.
            Err(BackendError::DiskFull { .. }) => {
                self.shared.set_health(Health::DiskFull);
                Ok(())
            }
            outcome => outcome,
        }
    }

    /// Gives some pages back; true when there are more to give.
    fn vacuum_step(&mut self) -> Result<bool, BackendError> {
        let at = |error| BackendError::sqlite("vacuuming", &self.path, &error);
        let pragma = |name| self.connection.pragma_query_value(None, name, |row| row.get(0));
        let free: i64 = pragma("freelist_count").map_err(at)?;
        let pages: i64 = pragma("page_count").map_err(at)?;
        if free <= FREE_PAGES_KEPT.max(pages / 4) {
            return Ok(false);
        }
        let outcome =
            self.connection.execute_batch(&format!("PRAGMA incremental_vacuum({VACUUM_PAGES})"));
        match outcome.map_err(at) {
            // Giving pages back takes room in the write-ahead file; the next deletion tries again.
            Err(BackendError::DiskFull { .. }) => Ok(false),
            outcome => outcome.and_then(|()| self.sync_and_checkpoint()).map(|()| true),
        }
    }

    /// Everything queued is committed, and older than what was received.
    fn install(&mut self, received: Received) -> Result<(), BackendError> {
        let directory = &self.shared.directory;
        let number = self.shared.view.read().generation.number + 1;
        let path = put_in_force(directory, &received.path, number)?;
        let connection = schema::open_writer(&path)?;
        let wal = open_wal(&connection, &path)?;
        let generation = Arc::new(Generation::open(number, &path)?);
        let old = {
            let mut view = self.shared.view.write();
            view.overlay.clear();
            std::mem::replace(&mut view.generation, generation)
        };
        self.shared.queue.discard();
        (self.connection, self.wal, self.path) = (connection, wal, path);
        self.committed = received.position;
        self.watch_wal()?;
        self.shared.state.lock().membership = received.membership.clone();
        self.sync()?;
        remove_state(&self.shared.directory, old.number)
    }
}

/// Opens the write-ahead file beside SQLite, to sync it, and makes its name durable. SQLite keeps
/// its locks on the other files, so that closing this one releases none of them.
fn open_wal(connection: &Connection, path: &Path) -> Result<File, BackendError> {
    // The file comes into being with the first transaction.
    connection
        .execute_batch("BEGIN IMMEDIATE; DELETE FROM meta WHERE name = ''; COMMIT")
        .map_err(|error| BackendError::sqlite("opening", path, &error))?;
    let wal = wal_path(path);
    let file = File::options()
        .read(true)
        .write(true)
        .open(&wal)
        .map_err(|error| BackendError::io("opening", &wal, error))?;
    super::readers::sync_directory(path.parent().expect("the database is in a directory"))?;
    Ok(file)
}

fn last_row(batches: &[Batch]) -> Option<Revision> {
    batches.iter().rev().flat_map(|batch| batch.changes.iter().rev()).find_map(
        |change| match change {
            Change::Row(row) => Some(row.revision),
            _ => None,
        },
    )
}

/// An open transaction, which commits early when a long deletion makes it long.
struct Transaction<'a> {
    connection: &'a Connection,
    /// After the last batch that is complete in it.
    position: Option<LogPosition>,
    /// Newest main revision written.
    current: Option<i64>,
    rows: usize,
}

impl<'a> Transaction<'a> {
    fn begin(connection: &'a Connection, position: Option<LogPosition>) -> rusqlite::Result<Self> {
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self { connection, position, current: None, rows: 0 })
    }

    fn apply(&mut self, change: &Change) -> rusqlite::Result<()> {
        self.rows += 1;
        match change {
            Change::Row(row) => {
                self.current = self.current.max(Some(row.revision.main));
                let kind = kind_number(row.kind);
                insert_row(self.connection, row.revision, kind, row.record.as_bytes())
            }
            Change::RowsRemoved(revisions) => self.remove_rows(revisions),
            Change::Compacted(revision) => {
                schema::set_meta(self.connection, schema::META_COMPACTED, revision)
            }
            Change::Lease { id, ttl_s } => insert_lease(self.connection, id.0, *ttl_s),
            Change::LeaseRemoved(id) => {
                self.execute("DELETE FROM lease WHERE id = ?1", params![id.0])
            }
            Change::AlarmRaised(alarm) => {
                insert_alarm(self.connection, alarm.member_id, alarm.alarm)
            }
            Change::AlarmCleared(alarm) => self.execute(
                "DELETE FROM alarm WHERE member = ?1 AND kind = ?2",
                params![alarm.member_id.cast_signed(), alarm.alarm],
            ),
            Change::MemberAttributes(attributes) => {
                let member = member_message(attributes);
                insert_member(self.connection, member.id, &member.encode_to_vec())
            }
            Change::MemberRemoved(id) => {
                self.execute("DELETE FROM member WHERE id = ?1", params![id.0.cast_signed()])
            }
            Change::ClusterVersion(version) => {
                schema::set_meta(self.connection, schema::META_CLUSTER_VERSION, version)
            }
        }
    }

    /// Deletes rows that nobody reaches any more. When they are many the transaction is committed
    /// in between, with the position before this batch: a replay deletes what is left, and writes
    /// once more what the batch had written.
    fn remove_rows(&mut self, revisions: &[Revision]) -> rusqlite::Result<()> {
        for revision in revisions {
            if self.rows >= COMMIT_ROWS {
                self.finish_transaction()?;
                self.connection.execute_batch("BEGIN IMMEDIATE")?;
                self.rows = 0;
            }
            self.rows += 1;
            self.execute(
                "DELETE FROM rev WHERE main = ?1 AND sub = ?2",
                params![revision.main, revision.sub],
            )?;
        }
        Ok(())
    }

    fn execute(&self, sql: &str, params: impl rusqlite::Params) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute(params).map(|_| ())
    }

    fn finish(&mut self, batch: &Batch) -> rusqlite::Result<()> {
        self.position = Some(batch.position);
        if let Some(membership) = &batch.membership {
            schema::set_meta(self.connection, schema::META_MEMBERSHIP, &membership[..])?;
        }
        Ok(())
    }

    fn finish_transaction(&mut self) -> rusqlite::Result<()> {
        if let Some(position) = self.position {
            schema::set_meta(self.connection, schema::META_POSITION, position.to_bytes())?;
        }
        if let Some(current) = self.current {
            schema::set_meta(self.connection, schema::META_CURRENT, current)?;
        }
        self.connection.execute_batch("COMMIT")
    }

    fn commit(mut self) -> rusqlite::Result<Option<LogPosition>> {
        self.finish_transaction()?;
        Ok(self.position)
    }
}

fn kind_number(kind: RowKind) -> i64 {
    match kind {
        RowKind::Put => schema::KIND_PUT,
        RowKind::Delete => schema::KIND_DELETE,
    }
}

/// Writes a row; one that is there already is the same one, written before an interruption.
pub(crate) fn insert_row(
    connection: &Connection,
    revision: Revision,
    kind: i64,
    record: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO rev(main, sub, kind, record) VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute(params![revision.main, revision.sub, kind, record])?;
    Ok(())
}

pub(crate) fn insert_lease(connection: &Connection, id: i64, ttl_s: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO lease(id, ttl_s) VALUES(?1, ?2)")?
        .execute([id, ttl_s])?;
    Ok(())
}

pub(crate) fn insert_alarm(
    connection: &Connection,
    member: u64,
    kind: i32,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO alarm(member, kind) VALUES(?1, ?2)")?
        .execute(params![member.cast_signed(), kind])?;
    Ok(())
}

pub(crate) fn insert_member(
    connection: &Connection,
    id: u64,
    attributes: &[u8],
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO member(id, attributes) VALUES(?1, ?2)")?
        .execute(params![id.cast_signed(), attributes])?;
    Ok(())
}

fn member_message(attributes: &store::MemberAttributes) -> Member {
    Member {
        id: attributes.member.0,
        name: attributes.name.clone(),
        client_ur_ls: attributes.client_urls.clone(),
        ..Member::default()
    }
}
