//! openraft issue 2116, provoked on purpose, and the gate that keeps a member from it.
//!
//! A follower is installing a snapshot, slowly. Meanwhile it is sent entries, a new leader is
//! elected and sends the same entries in two runs, and, because its log is purged fast, a second
//! snapshot: what a starved cluster with a short log does all the time.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::mpsc;

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::async_runtime::watch::WatchReceiver;
use parking_lot::Mutex;
use storage::{Backend, BackendOptions, Batch, DataDir, Incarnation};
use store::MemberId;
use tempfile::TempDir;
use tokio::time::Instant;

use super::*;
use crate::codec::{Wire, log_id};
use crate::hooks::{Answer, Hooks};
use crate::machine::{ClusterMembership, Machine, MachineState, SnapshotData};
use crate::peer::{Local, NetworkFactory, Pool};
use crate::suite::parts;
use crate::types::{Entry, Membership, Peer, SnapshotMeta, StoredMembership};

/// The follower under test.
const OWN: u64 = 2;

/// Hooks that hold up the first installation.
struct Slow {
    begun: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl Hooks for Slow {
    fn applied(&self, _: &[store::Change], _: i64) {}
    fn replaced(&self) {
        // Nobody listens to the second one.
        let _ = self.begun.send(());
        let _ = self.go_on.lock().recv();
    }
    fn call(&self, _: MemberId, _: u8, _: Bytes) -> Answer<'_> {
        Box::pin(std::future::ready(Err(api::Error::Stopped)))
    }
    fn fatal(&self, reason: &str) {
        panic!("{reason}");
    }
}

struct Follower {
    raft: Raft,
    machine: Arc<MachineState>,
    directory: TempDir,
    install_begun: mpsc::Receiver<()>,
    go_on: mpsc::Sender<()>,
}

fn membership() -> Membership {
    let nodes: BTreeMap<u64, Peer> = (1..=3).map(|id| (id, Peer::default())).collect();
    Membership::new(vec![nodes.keys().copied().collect()], nodes).expect("every voter has a node")
}

/// Entries of term 1; the first one is the membership.
fn entries(indexes: RangeInclusive<u64>) -> Vec<Entry> {
    let payload = |index| match index {
        0 => EntryPayload::Membership(membership()),
        _ => EntryPayload::Blank,
    };
    indexes.map(|index| Entry { log_id: log_id(1, index), payload: payload(index) }).collect()
}

fn append(
    vote: Vote,
    indexes: RangeInclusive<u64>,
    commit: Option<u64>,
) -> AppendEntriesRequest<TypeConfig> {
    AppendEntriesRequest {
        vote,
        prev_log_id: indexes.start().checked_sub(1).map(|index| log_id(1, index)),
        leader_commit: commit.map(|index| log_id(1, index)),
        entries: entries(indexes),
    }
}

impl Follower {
    /// Has the entries 0 to 30 of term 1, and applied them up to 10.
    async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (begun, install_begun) = mpsc::channel();
        let (go_on, wait_for_go_on) = mpsc::channel();
        let hooks = Arc::new(Slow { begun, go_on: Mutex::new(wait_for_go_on) });
        let (log_store, machine) = parts(directory.path(), hooks.clone());
        let data_dir = DataDir::open(directory.path().join("peer")).expect("a fresh directory");
        let local =
            Local::new(1, OWN, Incarnation([1; 16]), machine.clone(), Arc::new(data_dir), hooks);
        let pool = Pool::new(Arc::new(local), |_, _| ());
        let config = openraft::Config {
            enable_elect: false,
            enable_heartbeat: false,
            ..openraft::Config::default()
        };
        let raft = Raft::new(
            OWN,
            Arc::new(config),
            NetworkFactory(Arc::new(pool)),
            log_store,
            Machine(machine.clone()),
        )
        .await
        .expect("fresh parts");
        let appended = raft.append_entries(append(old_leader(), 0..=30, Some(10))).await;
        assert!(appended.expect("raft runs").is_success());
        machine.wait_applied(10).await;
        Self { raft, machine, directory, install_begun, go_on }
    }

    fn snapshot(&self, last: LogId) -> Snapshot {
        snapshot_at(&self.directory.path().join(format!("leader-{}", last.index)), last)
    }

    /// Sends what the leaders send while the first snapshot is being installed, and returns when
    /// raft knows of all of it.
    async fn send_entries(&self) {
        let raft = self.raft.clone();
        tokio::spawn(async move {
            // Polled in this order. The answers come after the installation, or never.
            let _ = futures::future::join3(
                raft.append_entries(append(old_leader(), 51..=60, None)),
                raft.append_entries(append(new_leader(), 51..=55, None)),
                raft.append_entries(append(new_leader(), 56..=60, None)),
            )
            .await;
        });
        let vote = || self.raft.with_raft_state(|state| *state.vote_ref());
        until(async || vote().await == Ok(new_leader())).await;
        // The last run was sent before this question.
        assert_eq!(vote().await, Ok(new_leader()));
    }

    async fn knows_of(&self, last: LogId) {
        let known = move |state: &openraft::RaftState<TypeConfig>| {
            state.snapshot_meta.last_log_id == Some(last)
        };
        until(async || self.raft.with_raft_state(known).await == Ok(true)).await;
    }

    /// Waits until the state machine is held up in the first installation.
    async fn installing(&self) {
        until(async || self.install_begun.try_recv().is_ok()).await;
    }
}

/// What a leader has at a position.
fn snapshot_at(directory: &Path, last: LogId) -> Snapshot {
    let stored = StoredMembership::new(Some(log_id(1, 0)), membership());
    let blob = ClusterMembership { stored: stored.clone(), ..ClusterMembership::default() };
    let leader = Backend::open(BackendOptions::new(directory)).expect("a fresh database");
    let membership = Some(blob.to_bytes());
    leader.enqueue(Batch { position: to_position(last), membership, changes: Vec::new() });
    let (sender, flushed) = mpsc::channel();
    leader.flush(Box::new(move |result| sender.send(result).expect("somebody waits")));
    flushed.recv().expect("an outcome").expect("on disk");
    let reader = leader.snapshot().expect("what was just written");
    Snapshot {
        meta: SnapshotMeta { last_log_id: Some(last), last_membership: stored },
        snapshot: SnapshotData::Outgoing(Box::new(reader)),
    }
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "not in time");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn old_leader() -> Vote {
    Vote::new_committed(1, 3)
}

fn new_leader() -> Vote {
    Vote::new_committed(2, 1)
}

const FIRST: u64 = 50;
const SECOND: u64 = 90;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn openraft_still_panics_when_a_second_snapshot_comes_during_an_installation() {
    let follower = Follower::start().await;
    let (raft, snapshot) = (follower.raft.clone(), follower.snapshot(log_id(1, FIRST)));
    tokio::spawn(async move { raft.install_full_snapshot(old_leader(), snapshot).await });
    follower.installing().await;
    follower.send_entries().await;
    let (raft, snapshot) = (follower.raft.clone(), follower.snapshot(log_id(2, SECOND)));
    let second =
        tokio::spawn(async move { raft.install_full_snapshot(new_leader(), snapshot).await });
    follower.knows_of(log_id(2, SECOND)).await;
    drop(follower.go_on);
    let second = second.await.expect("not the task that panics");
    // When this fails after an upgrade of openraft, the gate and docs/decisions/0006 can go.
    assert_eq!(second.err(), Some(Fatal::Panicked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn behind_the_gate_a_second_snapshot_waits_for_the_first() {
    let follower = Follower::start().await;
    let gate = Gate::default();
    let install = |vote, last| {
        let (gate, raft, snapshot) = (gate.clone(), follower.raft.clone(), follower.snapshot(last));
        tokio::spawn(async move { gate.install(&raft, vote, snapshot, |_| false).await })
    };
    let first = install(old_leader(), log_id(1, FIRST));
    follower.installing().await;
    follower.send_entries().await;
    let second = install(new_leader(), log_id(2, SECOND));
    drop(follower.go_on);
    assert_eq!(first.await.expect("it ends").expect("raft runs"), old_leader());
    assert_eq!(second.await.expect("it ends").expect("raft runs"), new_leader());
    assert_eq!(follower.machine.applied(), Some(log_id(2, SECOND)));
    assert_eq!(follower.raft.metrics().borrow_watched().running_state, Ok(()));
    follower.raft.shutdown().await.expect("in order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_snapshot_of_what_the_log_has_is_not_installed() {
    // The leader lost its connection after it had sent the entries up to 30, and purged its log up
    // to 20. openraft would go back to 20 and not apply the rest before the next write.
    let follower = Follower::start().await;
    let snapshot = follower.snapshot(log_id(1, 20));
    let (gate, vote) = (Gate::default(), new_leader());
    let installed = gate.install(&follower.raft, vote, snapshot, |last| last.index <= 30).await;
    assert_eq!(installed.expect("raft runs"), vote);
    assert_eq!(follower.machine.applied(), Some(log_id(1, 10)));
    let next = AppendEntriesRequest {
        vote,
        prev_log_id: Some(log_id(1, 30)),
        leader_commit: Some(log_id(1, 30)),
        entries: Vec::new(),
    };
    assert!(follower.raft.append_entries(next).await.expect("raft runs").is_success());
    follower.machine.wait_applied(30).await;
    follower.raft.shutdown().await.expect("in order");
}
