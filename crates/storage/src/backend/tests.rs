//! Tests of the database.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use store::{
    Change, History, HistoryError, LeaseId, MemberAttributes, MemberId, Previous, Record,
    RecordView, Revision, Row, RowKind,
};
use tempfile::TempDir;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(directory: &TempDir) -> Backend {
    Backend::open(BackendOptions::new(directory.path())).expect("the database opens")
}

pub(crate) fn row(main: i64, value_bytes: usize) -> Change {
    let key = format!("key-{}", main % 100);
    let record = Record::encode(&RecordView {
        key: key.as_bytes(),
        create_revision: main,
        mod_revision: main,
        version: 1,
        value: &vec![main as u8; value_bytes],
        lease: LeaseId::NONE,
    });
    let revision = Revision::new(main, 0);
    Change::Row(Row { revision, kind: RowKind::Put, record, previous: Previous::None })
}

pub(crate) fn batch(index: u64, changes: Vec<Change>) -> Batch {
    Batch { position: LogPosition::new(1, index), membership: None, changes }
}

pub(crate) fn flush(backend: &Backend) -> Option<LogPosition> {
    let (sender, receiver) = mpsc::channel();
    backend.flush(Box::new(move |outcome| sender.send(outcome).expect("somebody waits")));
    receiver.recv_timeout(DEADLINE).expect("in time").expect("flushed")
}

pub(crate) fn scan(backend: &Backend, from: i64, to: i64) -> Vec<i64> {
    let mut found = Vec::new();
    backend
        .scan(from, to, &mut |revision, _, record| {
            assert_eq!(record.view().mod_revision, revision.main);
            found.push(revision.main);
            ControlFlow::Continue(())
        })
        .expect("readable");
    found
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < DEADLINE, "{what} did not happen");
        std::thread::yield_now();
    }
}

#[test]
fn rows_are_readable_before_and_after_they_are_committed() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.enqueue(batch(1, vec![row(2, 10), row(3, 10)]));
    let read = || {
        assert_eq!(History::load(&backend, Revision::new(3, 0)).unwrap().view().mod_revision, 3);
        assert_eq!(scan(&backend, 0, 100), [2, 3]);
        assert_eq!(scan(&backend, 3, 3), [3]);
    };
    read();
    flush(&backend);
    assert_eq!(backend.pending_rows(), 0);
    read();
    assert!(matches!(History::load(&backend, Revision::new(4, 0)), Err(HistoryError::Missing(_))));
}

#[test]
fn what_is_enqueued_is_committed_without_being_asked() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.enqueue(batch(1, vec![row(2, 10)]));
    until("the commit", || backend.pending_rows() == 0);
}

#[test]
fn a_scan_sees_every_row_once_while_commits_go_on() {
    let temporary = directory();
    let backend = open(&temporary);
    const ROWS: i64 = 6_000;
    let writer = {
        let backend = backend.clone();
        std::thread::spawn(move || {
            for main in 1..=ROWS {
                backend.enqueue(batch(main as u64, vec![row(main, 20)]));
                if main % 700 == 0 {
                    flush(&backend);
                }
            }
        })
    };
    while !writer.is_finished() {
        let found = scan(&backend, 1, i64::MAX);
        assert_eq!(found, (1..=found.len() as i64).collect::<Vec<_>>());
    }
    writer.join().unwrap();
    assert_eq!(scan(&backend, 1, i64::MAX).len(), ROWS as usize);
}

#[test]
fn a_scan_stops_when_told() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.enqueue(batch(1, (1..2_000).map(|main| row(main, 1)).collect()));
    flush(&backend);
    let mut seen = 0;
    let visit = &mut |_: Revision, _: RowKind, _: Record| {
        seen += 1;
        if seen == 700 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    backend.scan(1, 2_000, visit).unwrap();
    assert_eq!(seen, 700);
}

#[test]
fn everything_is_found_after_a_restart() {
    let temporary = directory();
    let attributes = MemberAttributes {
        member: MemberId(u64::MAX - 1),
        name: "one".to_owned(),
        client_urls: vec!["http://127.0.0.1:2379".to_owned()],
    };
    let alarm = api::etcdserverpb::AlarmMember { member_id: u64::MAX, alarm: 1 };
    {
        let backend = open(&temporary);
        assert_eq!((backend.position(), backend.membership()), (None, None));
        let mut first = batch(4, vec![row(2, 5), row(3, 5), row(4, 5)]);
        first.membership = Some(Bytes::from_static(b"members"));
        first.changes.extend([
            Change::Lease { id: LeaseId(7), ttl_s: 60 },
            Change::Lease { id: LeaseId(8), ttl_s: 61 },
            Change::LeaseRemoved(LeaseId(8)),
            Change::AlarmRaised(alarm),
            Change::MemberAttributes(attributes.clone()),
            Change::ClusterVersion("3.7.0".to_owned()),
            Change::Compacted(3),
        ]);
        backend.enqueue(first);
        backend.close();
    }
    let backend = open(&temporary);
    assert_eq!(backend.position(), Some(LogPosition::new(1, 4)));
    assert_eq!(backend.membership(), Some(Bytes::from_static(b"members")));
    let store = backend.load(store::Options::default()).unwrap();
    assert_eq!((store.current_revision(), store.compact_revision()), (4, 3));
    assert_eq!(store.leases(), [(LeaseId(7), 60)]);
    assert_eq!(store.alarms(), [alarm]);
    assert_eq!(store.members(), [attributes]);
    assert_eq!(store.cluster_version(), Some("3.7.0"));
    assert_eq!(store.keys_total(), 3);
}

/// Copies the files as they are now, as a kill of the process would leave them.
fn image(directory: &TempDir) -> TempDir {
    let image = self::directory();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        if !entry.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
        }
    }
    image
}

#[test]
fn rows_and_position_are_never_apart_after_a_kill() {
    let temporary = directory();
    let backend = open(&temporary);
    for index in 1..=30 {
        backend.enqueue(batch(index, vec![row(index as i64, 100)]));
        if index % 7 == 0 {
            flush(&backend);
        }
        let durable = backend.durable();
        let image = image(&temporary);
        let found = open(&image);
        assert!(found.position() >= durable, "{:?} is durable", durable);
        let rows = scan(&found, 1, i64::MAX).len() as u64;
        assert_eq!(rows, found.position().map_or(0, |position| position.index));
    }
}

#[test]
fn durable_moves_with_flushes_not_with_commits() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.enqueue(batch(1, vec![row(1, 10)]));
    until("the commit", || backend.pending_rows() == 0);
    assert_eq!(backend.durable(), None);
    assert_eq!(flush(&backend), Some(LogPosition::new(1, 1)));
    assert_eq!(backend.durable(), Some(LogPosition::new(1, 1)));
}

#[test]
fn durable_moves_and_the_write_ahead_file_stays_bounded_under_load() {
    let temporary = directory();
    let backend = open(&temporary);
    for index in 1..=80 {
        let from = index as i64 * 1_000;
        let changes = (from..from + 1_000).map(|main| row(main, 600)).collect();
        backend.enqueue(batch(index, changes));
    }
    until("durability", || backend.durable().is_some_and(|durable| durable.index > 60));
    flush(&backend);
    let wal = readers::wal_path(&backend.generation().path);
    let bytes = std::fs::metadata(wal).unwrap().len();
    assert!(bytes < 40 << 20, "{bytes} bytes for 50 MB of rows");
}

#[test]
fn removed_rows_go_in_chunks_and_their_pages_are_given_back() {
    let temporary = directory();
    let backend = open(&temporary);
    const ROWS: i64 = 25_000;
    backend.enqueue(batch(1, (1..=ROWS).map(|main| row(main, 400)).collect()));
    flush(&backend);
    let full = backend.in_use_bytes().unwrap();
    let removed = (1..ROWS).map(|main| Revision::new(main, 0)).collect();
    backend.enqueue(batch(2, vec![Change::RowsRemoved(removed)]));
    flush(&backend);
    assert_eq!(scan(&backend, 1, i64::MAX), [ROWS]);
    assert!(backend.in_use_bytes().unwrap() < full / 20);
    let pages = || {
        let generation = backend.generation();
        generation
            .read(|connection| {
                connection.pragma_query_value(None, "page_count", |row| row.get::<_, i64>(0))
            })
            .unwrap()
    };
    until("free pages are given back", || pages() <= 1_200);
    assert_eq!(flush(&backend), Some(LogPosition::new(1, 2)));
}

#[test]
fn a_revision_that_compaction_emptied_does_not_go_back() {
    let temporary = directory();
    {
        let backend = open(&temporary);
        backend.enqueue(batch(1, vec![row(9, 1)]));
        backend.enqueue(batch(2, vec![Change::RowsRemoved(vec![Revision::new(9, 0)])]));
        backend.close();
    }
    let store = open(&temporary).load(store::Options::default()).unwrap();
    assert_eq!((store.current_revision(), store.keys_total()), (9, 0));
}

#[test]
fn enqueue_holds_back_what_the_writer_cannot_keep_up_with() {
    let temporary = directory();
    let backend = open(&temporary);
    for index in 1..=60 {
        let from = index as i64 * 2_000;
        backend.enqueue(batch(index, (from..from + 2_000).map(|main| row(main, 300)).collect()));
        assert!(backend.pending_rows() <= 40_000);
    }
    assert_eq!(flush(&backend), Some(LogPosition::new(1, 60)));
}

#[test]
fn a_flush_is_not_held_up_by_what_comes_after_it() {
    let temporary = directory();
    let backend = open(&temporary);
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let writer = {
        let (backend, stop) = (backend.clone(), stop.clone());
        std::thread::spawn(move || {
            for main in 1.. {
                backend.enqueue(batch(main as u64, vec![row(main, 100)]));
                if stop.load(Ordering::Relaxed) {
                    return main as u64;
                }
            }
            unreachable!("there are enough numbers")
        })
    };
    until("some rows wait", || backend.pending_rows() > 100);
    let reached = (0..5).map(|_| flush(&backend).expect("applied").index).max();
    stop.store(true, Ordering::Relaxed);
    assert!(reached < Some(writer.join().unwrap()), "more came while the flush was under way");
}

#[test]
fn orders_after_the_end_are_refused() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.close();
    let (sender, receiver) = mpsc::channel();
    backend.flush(Box::new(move |outcome| sender.send(outcome).unwrap()));
    assert!(matches!(receiver.recv_timeout(DEADLINE).unwrap(), Err(BackendError::Closed)));
    // Does not block and is not lost silently: the log holds it.
    backend.enqueue(batch(1, vec![row(1, 1)]));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let temporary = directory();
    let path = files::state_path(temporary.path(), 1);
    std::fs::write(&path, vec![7; 8_192]).unwrap();
    let error = Backend::open(BackendOptions::new(temporary.path())).err().expect("refused");
    assert!(matches!(error, BackendError::Corrupt { .. }), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), vec![7; 8_192]);
}

#[test]
fn a_database_of_a_newer_release_is_refused() {
    let temporary = directory();
    open(&temporary).close();
    let connection = schema::open_writer(&files::state_path(temporary.path(), 1)).unwrap();
    connection.pragma_update(None, "user_version", 2).unwrap();
    drop(connection);
    let error = Backend::open(BackendOptions::new(temporary.path())).err().expect("refused");
    assert!(matches!(error, BackendError::Version { version: 2, .. }), "{error}");
}

impl Shared {
    /// SQLite reports the same error for its own limit as for a full disk.
    pub(super) fn limit_pages(&self, connection: &rusqlite::Connection) -> rusqlite::Result<()> {
        let pages = self.pages_max.load(Ordering::Relaxed);
        connection.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    }
}

#[test]
fn a_full_disk_shows_loses_nothing_and_passes_by_itself() {
    let temporary = directory();
    let backend = open(&temporary);
    backend.0.shared.pages_max.store(50, Ordering::Relaxed);
    backend.enqueue(batch(1, vec![row(1, 10)]));
    backend.enqueue(batch(2, (2..2_000).map(|main| row(main, 400)).collect()));
    until("the full disk shows", || backend.health() == Health::DiskFull);
    assert_eq!(scan(&backend, 1, i64::MAX).len(), 1_999, "reads are served");
    backend.0.shared.pages_max.store(1_000_000, Ordering::Relaxed);
    assert_eq!(flush(&backend), Some(LogPosition::new(1, 2)));
    assert_eq!(backend.health(), Health::Good);
    assert_eq!(scan(&backend, 1, i64::MAX).len(), 1_999);
}

#[test]
fn a_backend_on_a_full_disk_can_be_closed_and_keeps_what_was_committed() {
    let temporary = directory();
    {
        let backend = open(&temporary);
        backend.enqueue(batch(1, vec![row(1, 10)]));
        flush(&backend);
        backend.0.shared.pages_max.store(1, Ordering::Relaxed);
        backend.enqueue(batch(2, (2..2_000).map(|main| row(main, 400)).collect()));
        until("the full disk shows", || backend.health() == Health::DiskFull);
        backend.close();
    }
    let backend = open(&temporary);
    assert_eq!(backend.position(), Some(LogPosition::new(1, 1)));
    assert_eq!(scan(&backend, 1, i64::MAX), [1]);
}

#[test]
fn a_failure_stops_the_writer_and_is_reported_once() {
    let temporary = directory();
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::open(BackendOptions {
        on_fatal: Some(Arc::new(move |reason| sender.send(reason).expect("somebody waits"))),
        ..BackendOptions::new(temporary.path())
    })
    .unwrap();
    // Take the table away under the writer.
    let connection = schema::open_writer(&backend.generation().path).unwrap();
    connection.execute_batch("DROP TABLE rev").unwrap();
    backend.enqueue(batch(1, vec![row(1, 1)]));
    let reason = receiver.recv_timeout(DEADLINE).expect("reported");
    assert!(reason.contains("rev"), "{reason}");
    until("the writer has ended", || matches!(backend.health(), Health::Failed(_)));
    backend.close();
    assert!(receiver.try_recv().is_err(), "once");
}

#[test]
fn every_transaction_is_observed_once() {
    let temporary = directory();
    let (sender, receiver) = mpsc::channel();
    let backend = Backend::open(BackendOptions {
        commit_observer: Some(Arc::new(move |took| sender.send(took).expect("somebody waits"))),
        ..BackendOptions::new(temporary.path())
    })
    .unwrap();
    for index in 1..=2 {
        backend.enqueue(batch(index, vec![row(index as i64 + 1, 10)]));
        flush(&backend);
        let took = receiver.try_recv().expect("observed before the flush is done");
        assert!(took > Duration::ZERO && took < DEADLINE, "{took:?}");
        assert!(receiver.try_recv().is_err(), "once");
    }
    // A flush of nothing is no transaction.
    flush(&backend);
    assert!(receiver.try_recv().is_err());
}

/// Removals are spread over several commits. Rows beside them would be committed first, under the
/// position of the batch before, and applied a second time after a crash.
#[test]
#[should_panic(expected = "removals come alone")]
fn rows_and_removals_never_share_a_batch() {
    let temporary = directory();
    let removed = Change::RowsRemoved(vec![Revision::new(1, 0)]);
    open(&temporary).enqueue(batch(1, vec![row(2, 1), removed]));
}
