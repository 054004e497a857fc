//! Real nodes on loopback in one process: election, replication, restart, membership, snapshots.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::etcdserverpb::{PutRequest, RangeRequest, RangeResponse, ResponseHeader};
use prost::Message;
use quorate_raft::{Answer, Config, Hooks, Node};
use store::{Change, MemberId, Op, Reply};
use tempfile::TempDir;
use tokio::net::TcpListener;

/// Longer than anything here takes on a machine that is doing something else as well.
const PATIENCE: Duration = Duration::from_secs(60);

struct Quiet;

impl Hooks for Quiet {
    fn applied(&self, _: &[Change], _: i64) {}
    fn replaced(&self) {}
    fn call(&self, from: MemberId, method: u8, payload: bytes::Bytes) -> Answer<'_> {
        let answer = format!("{from} asked {method}: {}", payload.len());
        Box::pin(std::future::ready(Ok(answer.into())))
    }
    fn fatal(&self, reason: &str) {
        eprintln!("fatal: {reason}");
    }
}

struct Member {
    node: Node,
    directory: TempDir,
    url: String,
}

#[derive(Clone)]
struct Plan {
    founders: Vec<(String, Vec<String>)>,
    join: bool,
    snapshot_count: u64,
    catchup: u64,
}

async fn listeners(count: usize) -> Vec<(TcpListener, String)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        all.push((listener, url));
    }
    all
}

fn config(plan: &Plan, directory: &Path, listener: TcpListener, url: &str) -> Config {
    Config {
        data_dir: directory.to_owned(),
        peer_listeners: vec![listener],
        advertise_peer_urls: vec![url.to_owned()],
        initial_cluster: plan.founders.clone(),
        initial_cluster_token: "test".to_owned(),
        join_existing: plan.join,
        heartbeat_interval: Duration::from_millis(100),
        election_timeout: Duration::from_millis(1000),
        pre_vote: true,
        snapshot_count: plan.snapshot_count,
        snapshot_catchup_entries: plan.catchup,
        log_bytes_max: 256 << 20,
        max_learners: 1,
        store: store::Options { value_bytes_max: u64::MAX, max_txn_ops: 128 },
    }
}

async fn start(plan: &Plan, listener: TcpListener, url: String) -> Member {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let node = Node::start(config(plan, directory.path(), listener, &url), Arc::new(Quiet))
        .await
        .expect("a fresh member starts");
    Member { node, directory, url }
}

async fn cluster(count: usize, snapshot_count: u64, catchup: u64) -> (Plan, Vec<Member>) {
    let sockets = listeners(count).await;
    let founders = sockets
        .iter()
        .enumerate()
        .map(|(number, (_, url))| (format!("m{number}"), vec![url.clone()]))
        .collect();
    let plan = Plan { founders, join: false, snapshot_count, catchup };
    let mut members = Vec::new();
    for (listener, url) in sockets {
        members.push(start(&plan, listener, url).await);
    }
    (plan, members)
}

async fn put(node: &Node, key: &str, value: &str) -> i64 {
    let request = PutRequest {
        key: key.to_owned().into(),
        value: value.to_owned().into(),
        ..PutRequest::default()
    };
    let deadline = Instant::now() + PATIENCE;
    loop {
        match node.propose_op(Op::Put(request.clone())).await {
            Ok(Reply::Put(response)) => return response.header.expect("a header").revision,
            Ok(_) => panic!("a put is answered by a put"),
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
}

async fn get(node: &Node, key: &str) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = node.read_index().await {
        assert!(Instant::now() < deadline, "{error}");
    }
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let encoded = node.store().range(&request, &ResponseHeader::default()).expect("a valid range");
    let response = RangeResponse::decode(encoded).expect("our own bytes");
    response.kvs.first().map(|kv| String::from_utf8(kv.value.to_vec()).expect("text"))
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the agent does once it runs; membership checks count only members that have started.
async fn publish(node: &Node, name: &str) {
    let attributes = store::MemberAttributes {
        member: node.member_id(),
        name: name.to_owned(),
        client_urls: Vec::new(),
    };
    node.propose_op(Op::MemberAttributes(attributes)).await.expect("a leader");
}

fn leader(members: &[Member]) -> usize {
    members.iter().position(|member| member.node.status().is_leader).expect("a leader")
}

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
    let again = Node::start(config, Arc::new(Quiet)).await.expect("its own directory");
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
