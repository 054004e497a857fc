//! Members that come, go and move by themselves.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{
    Member, PATIENCE, Recorder, config, found, get, join_and_start, join_new, joining, leader,
    listen_at, listeners, publish, put, settled, until,
};
use quorate_raft::{JoinProgress, LeaveError, Node, RemovalReason, StartError, join};
use tokio::sync::watch;

/// A cluster that grew from one founder.
async fn grown(count: usize) -> Vec<Member> {
    let mut members = vec![found("m0").await];
    let seeds = vec![members[0].url.clone()];
    for number in 1..count {
        members.push(join_new(&format!("m{number}"), &seeds).await);
        settled(&members[0].node, number + 1).await;
    }
    put(&members[0].node, "k", "v").await;
    members
}

fn urls(members: &[Member]) -> Vec<String> {
    members.iter().map(|member| member.url.clone()).collect()
}

async fn stop_all(members: &[Member]) {
    for member in members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_join_at_once_both_become_voters() {
    let first = found("m0").await;
    put(&first.node, "k", "v").await;
    let seeds = [first.url.clone()];
    let (second, third) = tokio::join!(join_new("m1", &seeds), join_new("m2", &seeds));
    settled(&first.node, 3).await;
    assert_eq!(first.node.incarnations_recorded(), 3);
    for member in [&second, &third] {
        assert_eq!(get(&member.node, "k").await.as_deref(), Some("v"));
        assert_eq!(member.hooks.fatal(), None);
    }
    stop_all(&[first, second, third]).await;
}

/// Appends behind the one that a joiner refused were never answered, nor was the leader's next one:
/// each step back in its search for a common entry cost the leader's patience of 5 s.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_under_load_is_promoted_at_once() {
    let first = found("m0").await;
    for number in 0..200 {
        put(&first.node, "k", &number.to_string()).await;
    }
    let (end, ended) = watch::channel(false);
    let load = {
        let node = first.node.clone();
        tokio::spawn(async move {
            while !*ended.borrow() {
                put(&node, "k", "load").await;
            }
        })
    };
    let began = Instant::now();
    let second = join_new("m1", std::slice::from_ref(&first.url)).await;
    settled(&first.node, 2).await;
    assert!(began.elapsed() < Duration::from_secs(5), "it took {:?}", began.elapsed());
    end.send(true).expect("the load still runs");
    load.await.expect("the load does not panic");
    stop_all(&[first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_waits_for_seeds_that_do_not_answer_and_joins_through_a_follower() {
    let members = grown(2).await;
    let follower = 1 - leader(&members);
    // Nobody listens at the first seed any more.
    let (listener, dead) = listeners(1).await.pop().expect("one socket");
    drop(listener);
    let third = join_new("m2", &[dead, members[follower].url.clone()]).await;
    settled(&members[0].node, 3).await;
    assert_eq!(get(&third.node, "k").await.as_deref(), Some("v"));
    third.node.shutdown().await;
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_claim_that_is_repeated_after_a_crash_gets_the_same_membership() {
    let first = found("m0").await;
    let seeds = [first.url.clone()];
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = joining(directory.path(), listener, &url, "m1", &seeds);
    let (progress, seen) = watch::channel(JoinProgress::Inspecting);
    join(&config, &progress).await.expect("a claim that is granted");
    let JoinProgress::Granted { member, .. } = seen.borrow().clone() else { panic!("granted") };
    // The crash comes between the answer and the identity: the claim is made again.
    let identity = directory.path().join("member/identity");
    std::fs::remove_file(identity).expect("it was written");
    join(&config, &progress).await.expect("the same claim");
    assert_eq!(*seen.borrow(), JoinProgress::Granted { cluster: first.node.cluster_id(), member });
    let second = join_and_start(config, "m1", directory, url).await;
    assert_eq!(second.node.member_id(), member);
    settled(&first.node, 2).await;
    assert_eq!(first.node.tombstones(), []);
    stop_all(&[first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_taken_out_before_it_first_ran_finds_out_and_claims_again() {
    let first = found("m0").await;
    let seeds = [first.url.clone()];
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = joining(directory.path(), listener, &url, "m1", &seeds);
    let (progress, seen) = watch::channel(JoinProgress::Inspecting);
    join(&config, &progress).await.expect("a claim that is granted");
    let JoinProgress::Granted { member, .. } = seen.borrow().clone() else { panic!("granted") };
    first.node.remove_member(member, RemovalReason::Operator).await.expect("only a learner");
    settled(&first.node, 1).await;
    let hooks = Arc::<Recorder>::default();
    let node = Node::start(config, hooks.clone()).await.expect("an identity");
    until("the news", || hooks.fatal().is_some()).await;
    node.shutdown().await;
    drop(node);
    let config = joining(directory.path(), listen_at(&url).await, &url, "m1", &seeds);
    let again = join_and_start(config, "m1", directory, url).await;
    assert_ne!(again.node.member_id(), member);
    settled(&first.node, 2).await;
    stop_all(&[first, again]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_become_one_when_two_leave_at_once() {
    let mut members = grown(3).await;
    // The leader is one of those that leave.
    let stays = members.remove((leader(&members) + 1) % 3);
    let (one, other) = tokio::join!(members[0].node.leave(), members[1].node.leave());
    assert_eq!((one, other), (Ok(()), Ok(())));
    put(&stays.node, "after", "v").await;
    settled(&stays.node, 1).await;
    let buried = stays.node.tombstones();
    assert_eq!(buried.len(), 2);
    for tombstone in &buried {
        assert_eq!(tombstone.reason, RemovalReason::ScaleIn);
        assert!(["m0", "m1", "m2"].contains(&tombstone.name.as_str()), "{tombstone:?}");
    }
    for member in &members {
        assert_eq!(member.hooks.fatal(), None, "leaving is no accident");
        let identity = std::fs::read_to_string(member.directory.path().join("member/identity"));
        assert!(identity.expect("an identity").contains("state left"));
    }
    assert_eq!(stays.node.leave().await, Err(LeaveError::LastVoter));
    put(&stays.node, "still", "there").await;
    stays.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_left_joins_again_when_it_is_started_again_and_keeps_what_it_had() {
    let mut members = grown(2).await;
    let gone = members.pop().expect("the second");
    gone.node.leave().await.expect("one voter is left");
    let (old, directory, url) = (gone.node.member_id(), gone.directory, gone.url);
    drop(gone.node);
    let plain = common::Plan { founders: Vec::new(), join: true, snapshot_count: 9, catchup: 9 };
    let config_alone = config(&plain, directory.path(), listen_at(&url).await, &url);
    match Node::start(config_alone, Arc::<Recorder>::default()).await {
        Err(StartError::Left) => {}
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it runs as the member that left"),
    }
    let config = joining(directory.path(), listen_at(&url).await, &url, "m1", &urls(&members));
    let again = join_and_start(config, "m1", directory, url).await;
    assert_ne!(again.node.member_id(), old);
    settled(&members[0].node, 2).await;
    assert_eq!(get(&again.node, "k").await.as_deref(), Some("v"));
    let archives = again.node.archives();
    assert_eq!(archives.len(), 1);
    assert!(archives[0].join("identity").is_file());
    members.push(again);
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_left_stays_away_without_seeds() {
    let mut members = grown(2).await;
    let gone = members.pop().expect("the second");
    gone.node.leave().await.expect("one voter is left");
    let (directory, url) = (gone.directory, gone.url);
    drop(gone.node);
    let config = joining(directory.path(), listen_at(&url).await, &url, "m1", &[]);
    let (progress, seen) = watch::channel(JoinProgress::Inspecting);
    join(&config, &progress).await.expect("nothing to do");
    assert_eq!(*seen.borrow(), JoinProgress::Left);
    let identity = std::fs::read_to_string(directory.path().join("member/identity"));
    assert!(identity.expect("still there").contains("state left"));
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_removed_learns_it_puts_its_data_aside_and_comes_back() {
    let mut members = grown(3).await;
    let gone = members.pop().expect("the third");
    let old = gone.node.member_id();
    members[0].node.remove_member(old, RemovalReason::Operator).await.expect("two stay alive");
    until("the end of the removed member", || gone.hooks.fatal().is_some()).await;
    gone.node.shutdown().await;
    let (directory, url) = (gone.directory, gone.url);
    drop(gone.node);
    let config = joining(directory.path(), listen_at(&url).await, &url, "m2", &urls(&members));
    let again = join_and_start(config, "m2", directory, url).await;
    settled(&members[0].node, 3).await;
    assert_ne!(again.node.member_id(), old);
    assert_eq!(again.node.archives().len(), 1);
    members.push(again);
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_lost_its_disk_is_replaced_and_one_that_is_alive_is_not() {
    let mut members = grown(3).await;
    let lost = members.remove((leader(&members) + 1) % 3);
    let (old, url) = (lost.node.member_id(), lost.url.clone());
    let name = lost.node.members().iter().find(|member| member.id == old).map(|m| m.name.clone());
    let name = name.expect("a member");
    let seeds = urls(&members);
    // A second machine with its name, while it is alive.
    let (listener, other) = listeners(1).await.pop().expect("one socket");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = joining(directory.path(), listener, &other, &name, &seeds);
    let (progress, mut seen) = watch::channel(JoinProgress::Inspecting);
    let impostor = tokio::spawn(async move { join(&config, &progress).await });
    let refused = |progress: &JoinProgress| matches!(progress, JoinProgress::Waiting { reason } if reason.contains("is alive"));
    tokio::time::timeout(PATIENCE, seen.wait_for(refused)).await.expect("an answer").expect("told");
    impostor.abort();
    lost.node.shutdown().await;
    drop((lost.node, lost.directory));
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = joining(directory.path(), listen_at(&url).await, &url, &name, &seeds);
    let again = join_and_start(config, &name, directory, url).await;
    settled(&members[0].node, 3).await;
    let buried = members[0].node.tombstones();
    assert_eq!(buried.len(), 1);
    assert_eq!((buried[0].id, buried[0].reason), (old, RemovalReason::Replaced));
    assert_eq!(get(&again.node, "k").await.as_deref(), Some("v"));
    members.push(again);
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_added_by_hand_is_adopted_by_its_claim() {
    let first = found("m0").await;
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let added = first.node.member_add(vec![url.clone()], false).await.expect("a new member");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let seeds = [first.url.clone()];
    let config = joining(directory.path(), listener, &url, "m1", &seeds);
    let second = join_and_start(config, "m1", directory, url).await;
    publish(&second.node, "m1").await;
    assert_eq!(second.node.member_id(), added.id);
    settled(&first.node, 2).await;
    stop_all(&[first, second]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_member_is_not_removed_when_that_would_leave_too_few() {
    let mut members = grown(3).await;
    let leading = leader(&members);
    let down = members.remove((leading + 1) % 3);
    let gone = down.node.member_id();
    down.node.shutdown().await;
    let leading = leader(&members);
    let alive = members[1 - leading].node.member_id();
    until("the silence", || {
        members[leading].node.last_contact(gone).is_some_and(|at| at > Duration::from_secs(2))
    })
    .await;
    let refused = members[leading].node.remove_member(alive, RemovalReason::ScaleIn).await;
    let error = refused.expect_err("one of two would be left alive").to_string();
    assert!(error.contains("only 1 of the 2"), "{error}");
    // The one that is down may go, and then the other one.
    for id in [gone, alive] {
        let removed = members[leading].node.remove_member(id, RemovalReason::ScaleIn).await;
        assert_eq!(removed, Ok(()), "{id}");
    }
    settled(&members[leading].node, 1).await;
    stop_all(&members).await;
}

/// Starts a stopped member's directory at a new address.
async fn moved(
    member: Member,
    name: &str,
    seeds: &[String],
    at: (tokio::net::TcpListener, String),
) -> Member {
    let (listener, url) = at;
    let directory = member.directory;
    drop(member.node);
    let config = joining(directory.path(), listener, &url, name, seeds);
    join_and_start(config, name, directory, url).await
}

async fn shows(node: &Node, urls: &[String]) {
    until("the new addresses", || {
        let members = node.members();
        urls.iter().all(|url| members.iter().any(|member| member.peer_urls.contains(url)))
            && node.operation().is_none()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_three_that_moves_is_found_at_its_new_address() {
    let mut members = grown(3).await;
    let mover = members.pop().expect("the third");
    mover.node.shutdown().await;
    let at = listeners(1).await.remove(0);
    let seeds = [members[0].url.clone()];
    let mover = moved(mover, "m2", &seeds, at).await;
    shows(&members[0].node, std::slice::from_ref(&mover.url)).await;
    put(&members[0].node, "after", "v").await;
    assert_eq!(get(&mover.node, "after").await.as_deref(), Some("v"));
    members.push(mover);
    assert_eq!(members[0].node.tombstones(), []);
    stop_all(&members).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_that_all_move_at_once_find_each_other() {
    let members = grown(3).await;
    stop_all(&members).await;
    let sockets = listeners(3).await;
    let seeds: Vec<String> = sockets.iter().map(|(_, url)| url.clone()).collect();
    let mut again = Vec::new();
    for ((number, member), at) in members.into_iter().enumerate().zip(sockets) {
        again.push(moved(member, &format!("m{number}"), &seeds, at).await);
    }
    put(&again[0].node, "after", "v").await;
    for member in &again {
        shows(&member.node, &seeds).await;
        assert_eq!(get(&member.node, "after").await.as_deref(), Some("v"));
    }
    stop_all(&again).await;
}
