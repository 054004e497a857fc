//! What the state machine must not do to the database and the log, each case a fault that was there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use api::etcdserverpb::{CompactionRequest, PutRequest};
use futures::stream;
use openraft::EntryPayload;
use openraft::storage::{RaftLogReader, RaftLogStorage, StorageHelper};
use storage::{Backend, BackendOptions, Batch, Log, LogOptions, LogPosition, LogRecord};
use store::{Command, CommandId, MemberAttributes, MemberId, Op};

use super::{Machine, MachineState};
use crate::codec::{ENTRY_BLANK, Wire, log_id};
use crate::suite::{NoHooks, parts};
use crate::types::{Entry, Membership, Peer, Vote};

fn machine(directory: &Path) -> Arc<MachineState> {
    parts(directory, Arc::new(NoHooks)).1
}

fn entry(index: u64, op: Op) -> Entry {
    let id = CommandId { member: MemberId(9), sequence: index };
    Entry { log_id: log_id(1, index), payload: EntryPayload::Normal(Command::new(id, op)) }
}

fn put(index: u64) -> Entry {
    let request =
        PutRequest { key: "k".into(), value: index.to_string().into(), ..PutRequest::default() };
    entry(index, Op::Put(request))
}

fn members(index: u64, ids: &[u64]) -> Entry {
    let nodes: BTreeMap<u64, Peer> = ids.iter().map(|id| (*id, Peer::default())).collect();
    let membership =
        Membership::new(vec![ids.iter().copied().collect()], nodes).expect("all have nodes");
    Entry { log_id: log_id(1, index), payload: EntryPayload::Membership(membership) }
}

async fn apply(machine: &MachineState, entries: impl IntoIterator<Item = Entry>) {
    let entries: Vec<_> = entries.into_iter().map(|entry| Ok((entry, None))).collect();
    machine.apply_all(stream::iter(entries)).await.expect("valid entries");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn compaction_never_moves_the_applied_position_back() {
    // It did, to the position that was synced last: after a crash the commands behind it would
    // have been applied again, onto their own rows.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = machine(directory.path());
    apply(&machine, (1..5).map(put)).await;
    machine.flush().await.expect("on disk");
    let compaction = CompactionRequest { revision: 4, physical: false };
    apply(&machine, [entry(5, Op::Compact(compaction))]).await;
    apply(&machine, (6..9).map(put)).await;
    while machine.compact_step(1) {}
    let durable = machine.flush().await.expect("on disk");
    assert_eq!(durable, Some(LogPosition::new(1, 8)));
    assert!(machine.store.read(|store| store.is_trimmed()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_removed_while_commands_are_applied_do_not_come_back() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = machine(directory.path());
    let stop = Arc::new(AtomicBool::new(false));
    let compactor = std::thread::spawn({
        let (machine, stop) = (machine.clone(), stop.clone());
        move || {
            while !stop.load(Ordering::Relaxed) {
                machine.compact_step(7);
            }
        }
    });
    let mut index = 0;
    for round in 1..200 {
        // Every slice compacts rows of its own.
        let puts: Vec<Entry> = (0..10)
            .map(|_| {
                index += 1;
                put(index)
            })
            .collect();
        index += 1;
        let compaction = CompactionRequest { revision: round * 10, physical: false };
        apply(&machine, puts.into_iter().chain([entry(index, Op::Compact(compaction))])).await;
    }
    stop.store(true, Ordering::Relaxed);
    compactor.join().expect("no panic");
    while machine.compact_step(1_000) {}
    machine.flush().await.expect("on disk");
    let mut rows = Vec::new();
    store::History::scan(&machine.backend, 0, i64::MAX, &mut |revision, _, _| {
        rows.push(revision.main);
        std::ops::ControlFlow::Continue(())
    })
    .expect("readable");
    assert_eq!(rows, [1990, 1991], "what revision 1990 sees and what came after");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_member_published_just_before_it_left_is_forgotten_on_every_member() {
    // Members take commands from the log in slices of their own size; the outcome was not the same
    // for all of them.
    let attributes = MemberAttributes { member: MemberId(2), ..MemberAttributes::default() };
    let entries =
        [members(1, &[1, 2]), entry(2, Op::MemberAttributes(attributes)), members(3, &[1])];
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (at_once, one_by_one) =
        (machine(&directory.path().join("a")), machine(&directory.path().join("b")));
    apply(&at_once, entries.clone()).await;
    for entry in entries {
        apply(&one_by_one, [entry]).await;
    }
    for machine in [at_once, one_by_one] {
        assert_eq!(machine.store.read(|store| store.members()), []);
        assert!(machine.is_removed(2) && !machine.is_removed(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_may_be_purged_up_to_a_snapshot_because_all_of_it_is_synced() {
    // A commit between the sync and the opening of the snapshot was in it and not synced.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = machine(directory.path());
    apply(&machine, [put(1)]).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (machine, stop) = (machine.clone(), stop.clone());
        async move {
            let mut index = 1;
            while !stop.load(Ordering::Relaxed) {
                index += 1;
                apply(&machine, [put(index)]).await;
                // The database's thread commits at once when somebody waits for it.
                machine.flush().await.expect("on disk");
            }
        }
    });
    for _ in 0..100 {
        let snapshot = machine.current_snapshot().await.expect("readable").expect("applied");
        let durable = machine.backend.durable().map(crate::log::from_position);
        assert!(durable >= snapshot.meta.last_log_id);
    }
    stop.store(true, Ordering::Relaxed);
    writer.await.expect("no panic");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_database_is_ahead_of_its_log_goes_on_from_the_database() {
    // The others were a majority: they committed what this member had not synced to its log yet,
    // it applied that, the database happened to be synced, and the power went.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let vote = Vote::new_committed(3, 1);
    let (log, _) = Log::open(LogOptions::new(directory.path().join("wal"))).expect("a log");
    let records = (0..5).map(|index| LogRecord {
        position: LogPosition::new(1, index),
        kind: ENTRY_BLANK,
        payload: bytes::Bytes::new(),
    });
    log.append(records.collect(), Box::new(|done| done.expect("written")));
    log.save_committed(LogPosition::new(1, 8));
    log.save_vote(vote.to_bytes(), Box::new(|done| done.expect("written")));
    log.close();
    let backend =
        Backend::open(BackendOptions::new(directory.path().join("db"))).expect("a database");
    let position = LogPosition::new(2, 8);
    backend.enqueue(Batch { position, membership: None, changes: Vec::new() });
    backend.close();
    drop(backend);

    for _ in 0..2 {
        let (mut log_store, machine) = parts(directory.path(), Arc::new(NoHooks));
        assert_eq!(machine.applied(), Some(log_id(2, 8)));
        let mut machine = Machine(machine);
        let state = StorageHelper::new(&mut log_store, &mut machine)
            .with_id(1)
            .get_initial_state()
            .await
            .expect("a state to go on from");
        assert_eq!(state.vote_ref(), &vote);
        assert_eq!(state.log_ids.last(), Some(&log_id(2, 8)), "it must not vote as one with less");
        assert_eq!(state.local_committed(), Some(&log_id(2, 8)));
        let log = log_store.get_log_state().await.expect("readable");
        assert_eq!(log.last_log_id, Some(log_id(2, 8)));
        assert_eq!(log.last_purged_log_id, Some(log_id(2, 8)));
        assert!(log_store.try_get_log_entries(0..20).await.expect("readable").is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_database_that_stands_still_holds_up_applying_and_nothing_else() {
    // Raft's own thread is the one that applies: blocked, it would send no heartbeats.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let machine = machine(directory.path());
    let (go_on, held) = mpsc::channel::<()>();
    machine.backend.flush(Box::new(move |_| {
        // Dropped, it lets go.
        let _ = held.recv();
    }));
    let big = |index| {
        let request =
            PutRequest { key: "k".into(), value: vec![7; 1 << 20].into(), ..PutRequest::default() };
        entry(index, Op::Put(request))
    };
    let applying = tokio::spawn({
        let machine = machine.clone();
        async move { apply(&machine, (1..=40).map(big)).await }
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    while machine.applied_index() < Some(8) {
        assert!(Instant::now() < deadline, "the queue does not fill");
        std::thread::sleep(Duration::from_millis(1));
    }
    for _ in 0..100 {
        let other = tokio::spawn(std::future::ready(()));
        tokio::time::timeout(Duration::from_secs(20), other).await.expect("in time").expect("runs");
    }
    assert!(!applying.is_finished());
    drop(go_on);
    applying.await.expect("no panic");
    assert_eq!(machine.applied_index(), Some(40));
}
