//! A leader that ends between two steps of an operation: the next one finishes it or rolls it back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use storage::Incarnation;
use tokio::net::TcpListener;

use super::admission::Life;
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
        until("the end of the last task of its process", || {
            storage::DataDir::open(directory.path()).is_ok()
        })
        .await;
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

/// Three members that are alive; an operation that takes a follower out is recorded, and the leader
/// that found this harmless ends for good.
async fn is_given_up(kind: OperationKind) {
    let (_, mut members) = cluster(3, 100_000, 100_000).await;
    for (number, member) in members.iter().enumerate() {
        put(&member.node, "k", "v").await;
        publish(&member.node, &format!("m{number}")).await;
    }
    let first = &members[leader(&members)].node;
    until("the record of all disks", || first.incarnations_recorded() == 3).await;
    let leading = members.remove(leader(&members));
    let leaver = members[0].node.member_id().0;
    {
        let shared = shared(&leading.node);
        let _alone = shared.changing.lock().await;
        let (_, url) = listeners(1).await.pop().expect("an address");
        let operation = match kind {
            OperationKind::Replace => OpenOperation {
                replaces: Some(leaver),
                incarnation: Some(CLAIMANT.0),
                peer_urls: vec![url],
                ..new_operation(kind, 77, "new")
            },
            _ => new_operation(kind, leaver, "leaver"),
        };
        shared.begin(operation).await.expect("a majority");
        until("the record everywhere", || {
            members.iter().all(|member| member.node.operation().is_some())
        })
        .await;
        end(&leading.node).await;
    }
    until(&format!("the end of a {}", kind.as_str()), || {
        members.iter().all(|member| member.node.operation().is_none())
    })
    .await;
    for member in &members {
        let after = put(&member.node, "after", "v");
        tokio::time::timeout(Duration::from_secs(20), after).await.expect("two of three");
        assert_eq!(member.node.tombstones(), []);
        assert_eq!(member.hooks.fatal(), None);
    }
    for member in &members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replacement_that_a_new_leader_inherits_spares_a_member_that_is_back() {
    is_given_up(OperationKind::Replace).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_a_new_leader_inherits_is_given_up_when_it_would_cost_the_majority() {
    is_given_up(OperationKind::Remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_that_caught_up_and_is_gone_gets_no_vote() {
    let (_, members) = cluster(1, 100_000, 100_000).await;
    let member = &members[0];
    put(&member.node, "k", "v").await;
    publish(&member.node, "m0").await;
    let shared = shared(&member.node).clone();
    let (listener, url) = listeners(1).await.pop().expect("an address");
    let id = shared.unused_id(std::slice::from_ref(&url));
    // The newcomer is given its vote by nobody while this is held.
    let alone = shared.changing.lock().await;
    let peer =
        Peer { peer_urls: vec![url.clone()], becomes_voter: true, incarnation: Some(CLAIMANT.0) };
    shared.take_in(id, peer).await.expect("alone");
    let newcomer = claimed(listener, url, shared_cluster(member), id).await;
    until("all of the log", || {
        let (matching, last) = shared.progress_of(id);
        matching == last
    })
    .await;
    newcomer.node.shutdown().await;
    until("silence", || shared.life_of(id) == Life::Silent).await;
    drop(alone);
    let after = async {
        for number in 0..20 {
            put(&member.node, "after", &number.to_string()).await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), after).await.expect("one of one");
    assert_eq!(member.node.voters(), 1);
    member.node.shutdown().await;
}

/// The whole machine stood still, as when it is moved: nobody was heard of, and nobody is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stood_still_takes_nobody_for_dead() {
    let (_, members) = cluster(3, 100_000, 100_000).await;
    put(&members[0].node, "k", "v").await;
    let leading = shared(&members[leader(&members)].node).clone();
    let others: Vec<u64> = leading.membership().voter_ids().collect();
    until("a leader that can tell", || {
        let led = leading.leads_since().is_some_and(|at| at.elapsed() > Duration::from_secs(2));
        led && others.iter().all(|id| leading.life_of(*id) == Life::Alive)
    })
    .await;
    // Both threads of the members.
    let still = || std::thread::sleep(Duration::from_secs(4));
    let standing: Vec<_> = (0..2).map(|_| tokio::spawn(async move { still() })).collect();
    std::thread::sleep(Duration::from_millis(2_500));
    let lives: Vec<_> = others.iter().map(|id| leading.life_of(*id)).collect();
    assert!(!lives.contains(&Life::Silent), "{lives:?}");
    for still in standing {
        still.await.expect("it only sleeps");
    }
    until("everybody is known to be alive again", || {
        members.iter().map(|member| shared(&member.node)).any(|shared| {
            let mut lives = others.iter().map(|id| shared.life_of(*id));
            shared.leads_for_certain() && lives.all(|life| life == Life::Alive)
        })
    })
    .await;
    for member in &members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_came_to_its_turn_too_late_is_not_carried_out() {
    let (_, members) = cluster(3, 100_000, 100_000).await;
    for (number, member) in members.iter().enumerate() {
        put(&member.node, "k", "v").await;
        publish(&member.node, &format!("m{number}")).await;
    }
    let leading = &members[leader(&members)];
    let other = members[(leader(&members) + 1) % 3].node.member_id();
    let alone = shared(&leading.node).changing.lock().await;
    // A request that a peer passed on goes on after the peer has given up.
    let asked = tokio::spawn({
        let node = leading.node.clone();
        async move { node.member_remove(other).await }
    });
    tokio::time::sleep(shared(&leading.node).request_timeout + Duration::from_millis(500)).await;
    drop(alone);
    let answer = asked.await.expect("no panic");
    assert!(answer.is_err(), "{answer:?}");
    assert_eq!(leading.node.members().len(), 3);
    for member in &members {
        member.node.shutdown().await;
    }
}

/// The directory was archived by a process that ended before it claimed anything; the next one is
/// told to found a cluster and hears of nobody.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_that_was_removed_and_restarted_founds_no_second_cluster() {
    let first = common::found("m0").await;
    let identity = first.directory.path().join("member/identity");
    first.node.shutdown().await;
    let (directory, url) = (first.directory, first.url);
    drop(first.node);
    let retired = |directory: &std::path::Path| {
        storage::DataDir::open(directory)
            .and_then(|data| data.retire(storage::Standing::Removed))
            .is_ok()
    };
    until("the end of its process", || retired(directory.path())).await;
    let plan = common::Plan {
        founders: vec![("m0".to_owned(), vec![url.clone()])],
        join: false,
        snapshot_count: 100_000,
        catchup: 100_000,
    };
    for process in ["that archives", "that comes after"] {
        let config = common::config(&plan, directory.path(), listen_at(&url).await, &url);
        let config = common::with_seeds(config, "m0", &[]);
        let (progress, mut seen) = tokio::sync::watch::channel(crate::JoinProgress::Inspecting);
        tokio::select! {
            joined = crate::join(&config, &progress) => panic!("the process {process}: {joined:?}"),
            waiting = seen.wait_for(|now| matches!(now, crate::JoinProgress::Waiting { .. })) => {
                waiting.expect("it goes on");
            }
        }
    }
    // Nor by etcd's flags alone.
    let config = common::config(&plan, directory.path(), listen_at(&url).await, &url);
    match Node::start(config, Arc::<common::Recorder>::default()).await {
        Err(error) => assert!(matches!(error, crate::StartError::HasPast { .. }), "{error}"),
        Ok(_) => panic!("it founded again"),
    }
    assert!(!identity.exists());
}

/// It is out, and cannot go on as the member it was; to say "it stays" would leave it idle for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_left_and_cannot_write_it_down_ends() {
    let (_, members) = cluster(3, 100_000, 100_000).await;
    for (number, member) in members.iter().enumerate() {
        put(&member.node, "k", "v").await;
        publish(&member.node, &format!("m{number}")).await;
    }
    let leaver = &members[(leader(&members) + 1) % 3];
    // Where the new identity is written before it takes the place of the old one.
    let unwritable = leaver.directory.path().join("member/identity.new");
    std::fs::create_dir(unwritable).expect("a temporary directory");
    let left = leaver.node.leave().await;
    assert!(matches!(left, Err(super::LeaveError::Failed(_))), "{left:?}");
    assert!(leaver.hooks.fatal().is_some());
    for member in &members {
        member.node.shutdown().await;
    }
}
