//! A leader that ends between two steps of an operation: the next one finishes it or rolls it back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::Incarnation;
use tokio::net::TcpListener;

use super::drive::new_operation;
use super::operation::{OpenOperation, OperationKind};
use super::step::Step;
use crate::node::{Node, Shared};
use crate::types::Peer;
use common::{Member, cluster, leader, listen_at, listeners, publish, put, until};

#[path = "../../tests/common/mod.rs"]
mod common;

/// Where the leader ends.
#[derive(Clone, Copy, Debug)]
enum After {
    Recording,
    Removing,
    Adding,
}

/// Three members, of whom one follower is lost for good, and a newcomer's address.
struct Scene {
    leading: Member,
    other: Member,
    lost: u64,
    newcomer: Option<(TcpListener, String)>,
}

impl Scene {
    async fn new() -> Self {
        let (_, mut members) = cluster(3, 100_000, 100_000).await;
        for (number, member) in members.iter().enumerate() {
            put(&member.node, "k", "v").await;
            publish(&member.node, &format!("m{number}")).await;
        }
        let first = &members[leader(&members)].node;
        until("the record of all disks", || first.incarnations_recorded() == 3).await;
        let leading = members.remove(leader(&members));
        let gone = members.pop().expect("a follower");
        let lost = gone.node.member_id().0;
        gone.node.shutdown().await;
        let other = members.pop().expect("the other follower");
        Self { leading, other, lost, newcomer: listeners(1).await.pop() }
    }

    fn operation(&self, incarnation: Incarnation) -> OpenOperation {
        let (_, url) = self.newcomer.as_ref().expect("an address");
        let shared = shared(&self.leading.node);
        OpenOperation {
            replaces: Some(self.lost),
            incarnation: Some(incarnation.0),
            peer_urls: vec![url.clone()],
            ..new_operation(
                OperationKind::Replace,
                shared.unused_id(std::slice::from_ref(url)),
                "new",
            )
        }
    }

    /// The leader begins and ends; a new one is elected of the one that is left and itself,
    /// started again.
    async fn crash(self, operation: OpenOperation, after: After) -> (Vec<Member>, Member) {
        let shared = shared(&self.leading.node).clone();
        let (id, lost) = (operation.member, self.lost);
        // Nobody else drives it meanwhile.
        let alone = shared.changing.lock().await;
        shared.begin(operation.clone()).await.expect("a majority");
        if !matches!(after, After::Recording) {
            shared.take_out(lost).await.expect("a majority");
        }
        if matches!(after, After::Adding) {
            let peer = Peer {
                peer_urls: operation.peer_urls.clone(),
                becomes_voter: true,
                incarnation: operation.incarnation,
            };
            shared.take_in(id, peer).await.expect("a majority");
        }
        end(&self.leading.node).await;
        drop(alone);
        drop(shared);
        let (directory, url) = (self.leading.directory, self.leading.url);
        drop(self.leading.node);
        let plan = common::Plan {
            founders: Vec::new(),
            join: true,
            snapshot_count: 100_000,
            catchup: 100_000,
        };
        let config = common::config(&plan, directory.path(), listen_at(&url).await, &url);
        let hooks = Arc::<common::Recorder>::default();
        let node = Node::start(config, hooks.clone()).await.expect("its own directory");
        let back = Member { node, hooks, directory, url };
        let (listener, url) = self.newcomer.expect("an address");
        let newcomer = claimed(listener, url, shared_cluster(&back), id).await;
        (vec![back, self.other], newcomer)
    }
}

fn shared(node: &Node) -> &Arc<Shared> {
    node.shared()
}

fn shared_cluster(member: &Member) -> u64 {
    member.node.cluster_id()
}

/// Ends like a process that is killed: nothing is handed over.
async fn end(node: &Node) {
    let shared = shared(node);
    shared.stop_being_fatal();
    let _ = shared.raft.shutdown().await;
    node.stop_tasks().await;
    shared.log.close();
    shared.local.machine.backend.close();
}

/// The newcomer's process, with the identity it was promised.
async fn claimed(listener: TcpListener, url: String, cluster: u64, id: u64) -> Member {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::create_dir(directory.path().join("member")).expect("an empty directory");
    let identity = format!(
        "quorate identity 1\ncluster {cluster:016x}\nmember {id:016x}\nincarnation {CLAIMANT}\nlog none\nstate member\n"
    );
    let sealed = format!("{identity}checksum {:08x}\n", crc32c::crc32c(identity.as_bytes()));
    std::fs::write(directory.path().join("member/identity"), sealed).expect("writable");
    let plan = common::Plan {
        founders: Vec::new(),
        join: true,
        snapshot_count: 100_000,
        catchup: 100_000,
    };
    let config = common::config(&plan, directory.path(), listener, &url);
    let hooks = Arc::<common::Recorder>::default();
    let node = Node::start(config, hooks.clone()).await.expect("its own directory");
    Member { node, hooks, directory, url }
}

const CLAIMANT: Incarnation = Incarnation([8; 16]);

/// Never more than one learner or vacancy, whoever looks, whenever.
fn check_invariants(node: &Node) {
    let membership = shared(node).membership();
    let voters: Vec<u64> = membership.voter_ids().collect();
    let nodes = membership.nodes().count();
    let learners = nodes - voters.len();
    assert!(learners <= 1, "{membership}");
    assert!((2..=3).contains(&nodes), "{membership}");
}

async fn finishes(after: After) {
    let scene = Scene::new().await;
    let (operation, lost) = (scene.operation(CLAIMANT), scene.lost);
    let id = operation.member;
    let (members, newcomer) = scene.crash(operation, after).await;
    until(&format!("the end of a replacement after {after:?}"), || {
        members.iter().all(|member| {
            check_invariants(&member.node);
            let votes = shared(&member.node).membership().voter_ids().any(|voter| voter == id);
            votes && member.node.operation().is_none() && member.node.voters() == 3
        })
    })
    .await;
    put(&members[0].node, "after", "v").await;
    let buried = members[0].node.tombstones();
    assert_eq!(buried.iter().map(|gone| gone.id.0).collect::<Vec<_>>(), [lost]);
    assert_eq!(buried[0].reason, super::RemovalReason::Replaced);
    for member in members.iter().chain([&newcomer]) {
        assert_eq!(member.hooks.fatal(), None);
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_whose_leader_ends_after_recording_it_is_finished() {
    finishes(After::Recording).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_whose_leader_ends_after_removing_the_old_member_is_finished() {
    finishes(After::Removing).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_whose_leader_ends_after_adding_the_new_member_is_finished() {
    finishes(After::Adding).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_never_comes_is_taken_out_by_the_next_leader_at_the_deadline() {
    let (_, members) = cluster(1, 100_000, 100_000).await;
    let member = &members[0];
    put(&member.node, "k", "v").await;
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    drop(listener);
    let shared = shared(&member.node).clone();
    let id = shared.unused_id(std::slice::from_ref(&url));
    let operation = OpenOperation {
        incarnation: Some(CLAIMANT.0),
        peer_urls: vec![url],
        ..new_operation(OperationKind::Join, id, "new")
    };
    {
        let _alone = shared.changing.lock().await;
        let late = OpenOperation { deadline_s: operation.started_s + 2, ..operation.clone() };
        shared.begin(late).await.expect("alone");
        let open = shared.open_operation().expect("recorded");
        let step = shared.next_step(&open);
        assert!(matches!(step, Step::Add(..)), "{step:?}");
        shared.take(&open, step).await.expect("alone");
    }
    assert!(member.node.members().iter().any(|known| known.id.0 == id));
    until("the roll-back", || member.node.operation().is_none()).await;
    assert!(shared.local.machine.is_removed(id));
    assert_eq!(member.node.members().len(), 1);
    tokio::time::timeout(Duration::from_secs(20), put(&member.node, "after", "v"))
        .await
        .expect("alone again");
    member.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_leader_that_was_overtaken_changes_nothing() {
    let (_, members) = cluster(1, 100_000, 100_000).await;
    let member = &members[0];
    put(&member.node, "k", "v").await;
    let shared = shared(&member.node);
    let _alone = shared.changing.lock().await;
    let first = new_operation(OperationKind::Promote, 5, "first");
    let second = new_operation(OperationKind::Promote, 6, "second");
    shared.begin(first.clone()).await.expect("nothing is open");
    assert!(shared.begin(second.clone()).await.is_err(), "one at a time");
    assert!(shared.record(Some(second.id), None).await.is_err(), "not the open one");
    assert_eq!(shared.open_operation(), Some(first));
    member.node.shutdown().await;
    assert!(!shared.local.leaving.load(Ordering::Acquire));
}
