//! Real nodes on loopback in one process: election, replication, restart, membership, snapshots.

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::etcdserverpb::PutRequest;
use common::{Plan, Recorder, cluster, config, get, leader, listeners, publish, put, start, until};
use quorate_raft::Node;
use store::Op;
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_member_writes_reads_and_restarts() {
    let (plan, mut members) = cluster(1, 100_000, 100_000).await;
    let member = members.pop().expect("one member");
    for number in 0..50 {
        put(&member.node, &format!("k{number}"), "v").await;
    }
    let revision = put(&member.node, "last", "value").await;
    assert_eq!(revision, 52);
    member.node.shutdown().await;
    drop(member.node);
    let (listener, _) = listeners(1).await.pop().expect("one socket");
    let config = config(&plan, member.directory.path(), listener, &member.url);
    let again = Node::start(config, Arc::<Recorder>::default()).await.expect("its own directory");
    assert_eq!(get(&again, "last").await.as_deref(), Some("value"));
    assert_eq!(again.store().current_revision(), 52);
    assert_eq!(put(&again, "more", "v").await, 53);
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_of_three_members_serves_any_request_and_sees_every_write() {
    let (_, members) = cluster(3, 100_000, 100_000).await;
    for (number, member) in members.iter().enumerate() {
        put(&member.node, &format!("k{number}"), "v").await;
    }
    for member in &members {
        for number in 0..3 {
            assert_eq!(get(&member.node, &format!("k{number}")).await.as_deref(), Some("v"));
        }
    }
    let leader = leader(&members);
    let follower = (leader + 1) % 3;
    let answer = members[follower].node.call_leader(7, "abc".into()).await.expect("the leader");
    let asker = members[follower].node.member_id();
    assert_eq!(answer, format!("{asker} asked 7: 3"));
    let target = members[follower].node.member_id();
    members[leader].node.move_leader(target).await.expect("a voter that is up");
    until("the move", || members[follower].node.status().is_leader).await;
    put(&members[leader].node, "after", "move").await;
    assert_eq!(get(&members[follower].node, "after").await.as_deref(), Some("move"));
    for member in &members {
        member.node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_added_late_gets_a_snapshot_and_its_vote() {
    let (plan, mut members) = cluster(1, 20, 1).await;
    for number in 0..100 {
        put(&members[0].node, &format!("k{number}"), "v").await;
    }
    let first = members[0].node.clone();
    publish(&first, "m0").await;
    until("giving up the log", || first.log().state().0.is_some()).await;
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let added = first.member_add(vec![url.clone()], false).await.expect("a new member");
    assert!(!added.is_learner);
    let plan = Plan { join: true, ..plan };
    members.push(start(&plan, listener, url).await);
    let second = members[1].node.clone();
    assert_eq!(second.member_id(), added.id);
    until("the vote", || !second.status().is_learner).await;
    assert_eq!(get(&second, "k99").await.as_deref(), Some("v"));
    put(&second, "both", "up").await;
    first.member_remove(added.id).await.expect("a quorum of started voters stays");
    assert_eq!(first.members().len(), 1);
    put(&first, "alone", "again").await;
    first.shutdown().await;
    second.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_with_peers_is_counted_on_both_sides() {
    let (_, mut members) = cluster(3, 100_000, 100_000).await;
    put(&members[0].node, "k", &"v".repeat(10_000)).await;
    let leader = members.swap_remove(leader(&members));
    let follower = members.swap_remove(0);
    let (leader_id, follower_id) = (leader.node.member_id(), follower.node.member_id());
    let of = |node: &Node, peer| node.peer_stats().into_iter().find(|stats| stats.peer == peer);
    until("the entry to be counted", || {
        of(&leader.node, follower_id).is_some_and(|stats| stats.sent_bytes > 10_000)
            && of(&follower.node, leader_id).is_some_and(|stats| stats.received_bytes > 10_000)
    })
    .await;
    until("a heartbeat", || {
        of(&leader.node, follower_id).is_some_and(|stats| stats.round_trips.count() > 0)
    })
    .await;
    let stats = of(&leader.node, follower_id).expect("a peer");
    assert!(stats.received_bytes > 0 && stats.round_trips.sum_s > 0.0, "{stats:?}");
    let failures = stats.send_failures;
    follower.node.shutdown().await;
    until("failures to reach the one that is down", || {
        of(&leader.node, follower_id).is_some_and(|stats| stats.send_failures > failures)
    })
    .await;
    leader.node.shutdown().await;
    members[0].node.shutdown().await;
}

/// How many other members' disks a member has pinned: the lines between title and checksum.
fn disks_known(directory: &Path) -> usize {
    let pins = std::fs::read_to_string(directory.join("member/pins")).unwrap_or_default();
    pins.lines().count().saturating_sub(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_disk_does_not_count_as_the_member_that_had_it() {
    // One follower loses its disk and the leader goes: the empty disk must not count in place of the
    // lost one, which held acknowledged writes. Members meet early for that, whether or not they
    // have anything to say to each other.
    let (plan, mut members) = cluster(3, 100_000, 100_000).await;
    for member in &members {
        put(&member.node, "k", "v").await;
        until("meeting", || disks_known(member.directory.path()) == 2).await;
    }
    let (leading, wiped) = (members.remove(leader(&members)), members.pop().expect("a follower"));
    let other = members.pop().expect("the other follower");
    wiped.node.shutdown().await;
    leading.node.shutdown().await;
    let address = wiped.url.trim_start_matches("http://").to_owned();
    drop((wiped, leading));
    let listener = TcpListener::bind(address).await.expect("the port it had");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let empty = start(&plan, listener, url).await;
    // Leadership was handed to the other one. The empty disk would be the second of three.
    let request = PutRequest { key: "after".into(), ..PutRequest::default() };
    assert!(other.node.propose_op(Op::Put(request)).await.is_err(), "no majority is left");
    assert_eq!(empty.node.status().leader, None);
    other.node.shutdown().await;
    empty.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lone_member_still_writes_after_its_clock_stood_still() {
    let (_, members) = cluster(1, 100_000, 100_000).await;
    put(&members[0].node, "before", "v").await;
    let written = Instant::now();
    // Longer than the lease of a leader that hears from nobody.
    until("the lease's end", || written.elapsed() > Duration::from_secs(4)).await;
    let request = PutRequest { key: "after".into(), ..PutRequest::default() };
    let quick =
        tokio::time::timeout(Duration::from_secs(2), members[0].node.propose_op(Op::Put(request)));
    assert!(quick.await.expect("at once").is_ok());
    assert_eq!(get(&members[0].node, "before").await.as_deref(), Some("v"));
    members[0].node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_hears_from_no_majority_names_no_leader() {
    let (_, mut members) = cluster(3, 100_000, 100_000).await;
    put(&members[0].node, "k", "v").await;
    let survivor = members.remove(0);
    for other in &members {
        other.node.shutdown().await;
    }
    until("the silence", || survivor.node.status().leader.is_none()).await;
    survivor.node.shutdown().await;
}
