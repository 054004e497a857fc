//! Tests of snapshots.

use bytes::Bytes;
use store::{Change, LeaseId};
use tempfile::TempDir;

use super::SnapshotReader;
use crate::backend::tests::{batch, flush, row, scan};
use crate::{Backend, BackendError, BackendOptions, LogPosition};

const CHUNK_BYTES: usize = 4 << 10;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn open(directory: &TempDir) -> Backend {
    Backend::open(BackendOptions::new(directory.path())).expect("the database opens")
}

fn filled(directory: &TempDir, rows: i64) -> Backend {
    let backend = open(directory);
    let mut first = batch(50, (1..=rows).map(|main| row(main, 100)).collect());
    first.membership = Some(Bytes::from_static(b"members"));
    first.changes.extend((1..900).map(|id| Change::Lease { id: LeaseId(id), ttl_s: id * 2 }));
    first.changes.push(Change::ClusterVersion("3.7.0".to_owned()));
    backend.enqueue(first);
    flush(&backend);
    backend
}

fn chunks(reader: &mut SnapshotReader) -> Vec<Bytes> {
    std::iter::from_fn(|| reader.next_chunk(CHUNK_BYTES).expect("readable")).collect()
}

#[test]
fn a_snapshot_carries_everything_to_another_member() {
    let (here, there) = (directory(), directory());
    let source = filled(&here, 1_000);
    let target = open(&there);
    target.enqueue(batch(3, vec![row(1, 1), row(2_000, 1)]));
    let mut writer = target.receive().unwrap();
    let mut reader = source.snapshot().unwrap();
    for chunk in chunks(&mut reader) {
        writer.write(&chunk).unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(writer.position(), Some(LogPosition::new(1, 50)));
    target.install(writer).unwrap();

    let check = |backend: &Backend| {
        assert_eq!(backend.durable(), Some(LogPosition::new(1, 50)));
        assert_eq!(backend.membership(), Some(Bytes::from_static(b"members")));
        assert_eq!(scan(backend, 1, i64::MAX), (1..=1_000).collect::<Vec<_>>());
        let store = backend.load(store::Options::default()).unwrap();
        assert_eq!(store.leases().len(), 899);
        assert_eq!((store.cluster_version(), store.current_revision()), (Some("3.7.0"), 1_000));
    };
    check(&target);
    target.enqueue(batch(51, vec![row(1_001, 5)]));
    assert_eq!(flush(&target), Some(LogPosition::new(1, 51)));
    target.close();
    drop(target);
    let names: Vec<_> = std::fs::read_dir(there.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.contains(&"state-00000002.db".to_owned()), "{names:?}");
    assert!(!names.iter().any(|name| name.contains("00000001")), "{names:?}");
    assert_eq!(scan(&open(&there), 1, i64::MAX).len(), 1_001);
}

#[test]
fn a_snapshot_does_not_see_later_writes_and_does_not_hold_them_up() {
    let temporary = directory();
    let backend = filled(&temporary, 500);
    let mut reader = backend.snapshot().unwrap();
    let first = reader.next_chunk(CHUNK_BYTES).unwrap().unwrap();
    backend.enqueue(batch(51, (501..3_000).map(|main| row(main, 50)).collect()));
    flush(&backend);
    let mut second_reader = backend.snapshot().unwrap();
    assert_eq!(second_reader.position(), Some(LogPosition::new(1, 51)));
    let mut before = vec![first];
    before.extend(chunks(&mut reader));
    assert!(chunks(&mut second_reader).len() > 2 * before.len());
    let rows = before.iter().map(Bytes::len).sum::<usize>();
    assert!(rows < 500 * 300, "only the rows of before: {rows} bytes");
}

#[test]
fn a_broken_transfer_goes_on_where_it_broke() {
    let temporary = directory();
    let backend = filled(&temporary, 600);
    let mut reader = backend.snapshot().unwrap();
    let all = chunks(&mut reader);
    assert!(all.len() > 10);
    for number in [0, 1, all.len() as u64 / 2, all.len() as u64 - 1] {
        assert!(reader.rewind(number));
        assert_eq!(chunks(&mut reader), all[number as usize..]);
    }
    assert!(!reader.rewind(all.len() as u64 + 1));
}

#[test]
fn a_damaged_missing_or_repeated_chunk_is_refused_and_can_be_sent_again() {
    let (here, there) = (directory(), directory());
    let all = chunks(&mut filled(&here, 300).snapshot().unwrap());
    let target = open(&there);
    let mut writer = target.receive().unwrap();
    writer.write(&all[0]).unwrap();
    for byte in 0..all[1].len() {
        let mut bad = all[1].to_vec();
        bad[byte] ^= 4;
        assert!(matches!(writer.write(&bad), Err(BackendError::Snapshot(_))), "byte {byte}");
    }
    assert!(writer.write(&all[0]).is_err());
    assert!(writer.write(&all[2]).is_err());
    for chunk in &all[1..] {
        writer.write(chunk).unwrap();
    }
    writer.finish().unwrap();
    target.install(writer).unwrap();
    assert_eq!(scan(&target, 1, i64::MAX).len(), 300);
}

#[test]
fn an_incomplete_snapshot_is_not_installed_and_leaves_nothing_behind() {
    let (here, there) = (directory(), directory());
    let all = chunks(&mut filled(&here, 300).snapshot().unwrap());
    let target = open(&there);
    let mut writer = target.receive().unwrap();
    for chunk in &all[..all.len() - 1] {
        writer.write(chunk).unwrap();
    }
    assert!(matches!(writer.finish(), Err(BackendError::Snapshot(_))));
    assert!(matches!(target.install(writer), Err(BackendError::Snapshot(_))));
    let left = std::fs::read_dir(there.path()).unwrap();
    let incoming = left.filter(|entry| {
        entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("incoming")
    });
    assert_eq!(incoming.count(), 0);
}

/// The files that a crash between the steps of an installation leaves.
#[test]
fn an_installation_cut_at_any_step_leaves_the_old_or_the_new_database() {
    let (here, there) = (directory(), directory());
    let all = chunks(&mut filled(&here, 300).snapshot().unwrap());
    let target = open(&there);
    target.enqueue(batch(3, vec![row(1, 1)]));
    flush(&target);
    let mut writer = target.receive().unwrap();
    let incoming = there.path().join("incoming-00000001.db");
    let old = |path: &TempDir| assert_eq!(scan(&open(path), 1, i64::MAX).len(), 1);
    for chunk in &all {
        writer.write(chunk).unwrap();
    }
    old(&copied(&there, None));
    writer.finish().unwrap();
    old(&copied(&there, None));
    // Renamed, and the old one not removed yet.
    let renamed = copied(&there, Some((&incoming, "state-00000002.db")));
    assert_eq!(scan(&open(&renamed), 1, i64::MAX).len(), 300);
    assert!(!renamed.path().join("state-00000001.db").exists());
}

fn copied(from: &TempDir, rename: Option<(&std::path::Path, &str)>) -> TempDir {
    let to = directory();
    for entry in std::fs::read_dir(from.path()).unwrap() {
        let entry = entry.unwrap();
        let name = match rename {
            Some((path, name)) if entry.path() == path => name.into(),
            _ => entry.file_name(),
        };
        if !name.to_string_lossy().ends_with("-shm") {
            std::fs::copy(entry.path(), to.path().join(name)).unwrap();
        }
    }
    to
}
