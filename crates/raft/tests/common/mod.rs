//! Members on loopback, and what tests ask of them.

// Every test binary uses some of it.
#![allow(dead_code)]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api::etcdserverpb::{PutRequest, RangeRequest, RangeResponse, ResponseHeader};
use prost::Message;
use quorate_raft::{Answer, Config, Hooks, JoinProgress, JoinSettings, Node};
use store::{Change, MemberId, Op, Reply};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Longer than anything here takes on a machine that is doing something else as well.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Hooks that keep what they were told last.
#[derive(Default)]
pub struct Recorder {
    fatal: Mutex<Option<String>>,
    replaced: AtomicU64,
}

impl Recorder {
    /// Snapshots installed.
    pub fn replaced(&self) -> u64 {
        self.replaced.load(Ordering::Relaxed)
    }

    pub fn fatal(&self) -> Option<String> {
        self.fatal.lock().expect("nobody panics here").clone()
    }
}

impl Hooks for Recorder {
    fn applied(&self, _: &[Change], _: i64) {}
    fn replaced(&self) {
        self.replaced.fetch_add(1, Ordering::Relaxed);
    }
    fn call(&self, from: MemberId, method: u8, payload: bytes::Bytes) -> Answer<'_> {
        let answer = format!("{from} asked {method}: {}", payload.len());
        Box::pin(std::future::ready(Ok(answer.into())))
    }
    fn fatal(&self, reason: &str) {
        *self.fatal.lock().expect("nobody panics here") = Some(reason.to_owned());
    }
}

pub struct Member {
    pub node: Node,
    pub hooks: Arc<Recorder>,
    pub directory: TempDir,
    pub url: String,
}

#[derive(Clone)]
pub struct Plan {
    pub founders: Vec<(String, Vec<String>)>,
    pub join: bool,
    pub snapshot_count: u64,
    pub catchup: u64,
}

pub async fn listeners(count: usize) -> Vec<(TcpListener, String)> {
    let mut all = Vec::new();
    for _ in 0..count {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        all.push((listener, url));
    }
    all
}

pub fn config(plan: &Plan, directory: &Path, listener: TcpListener, url: &str) -> Config {
    Config {
        data_dir: directory.to_owned(),
        peer_listeners: vec![listener],
        advertise_peer_urls: vec![url.to_owned()],
        initial_cluster: plan.founders.clone(),
        initial_cluster_token: "test".to_owned(),
        bootstrap_fault: None,
        join_existing: plan.join,
        heartbeat_interval: Duration::from_millis(100),
        election_timeout: Duration::from_millis(1000),
        pre_vote: true,
        snapshot_count: plan.snapshot_count,
        snapshot_catchup_entries: plan.catchup,
        log_bytes_max: 256 << 20,
        max_learners: 1,
        store: store::Options { value_bytes_max: u64::MAX, max_txn_ops: 128 },
        observers: quorate_raft::Observers::default(),
        join: None,
    }
}

/// The port that a member had, for its next process.
pub async fn listen_at(url: &str) -> TcpListener {
    let address = url.trim_start_matches("http://");
    let deadline = Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Settings of a member that comes to its membership by itself.
pub fn joining(
    directory: &Path,
    listener: TcpListener,
    url: &str,
    name: &str,
    seeds: &[String],
) -> Config {
    let plan = Plan { founders: Vec::new(), join: true, snapshot_count: 100_000, catchup: 100_000 };
    with_seeds(config(&plan, directory, listener, url), name, seeds)
}

/// The same settings, and self-operation.
pub fn with_seeds(config: Config, name: &str, seeds: &[String]) -> Config {
    let seeds = seeds.to_vec();
    let join = JoinSettings {
        name: name.to_owned(),
        client_urls: Vec::new(),
        seeds: Arc::new(move || seeds.clone()),
    };
    Config { join: Some(join), ..config }
}

/// Joins and starts, as the agent does.
pub async fn join_and_start(config: Config, name: &str, directory: TempDir, url: String) -> Member {
    let hooks = Arc::<Recorder>::default();
    let (progress, seen) = watch::channel(JoinProgress::Inspecting);
    tokio::time::timeout(PATIENCE, quorate_raft::join(&config, &progress))
        .await
        .unwrap_or_else(|_| panic!("{name} does not join: {:?}", *seen.borrow()))
        .expect("a directory that can join");
    let node = Node::start(config, hooks.clone()).await.expect("a member");
    Member { node, hooks, directory, url }
}

/// A new directory, a new address, a member of the cluster at `seeds`.
pub async fn join_new(name: &str, seeds: &[String]) -> Member {
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let config = joining(directory.path(), listener, &url, name, seeds);
    let member = join_and_start(config, name, directory, url).await;
    publish(&member.node, name).await;
    member
}

/// Founds a cluster of one that operates itself.
pub async fn found(name: &str) -> Member {
    let (listener, url) = listeners(1).await.pop().expect("one socket");
    let directory = tempfile::tempdir().expect("a temporary directory");
    let plan = Plan {
        founders: vec![(name.to_owned(), vec![url.clone()])],
        join: false,
        snapshot_count: 100_000,
        catchup: 100_000,
    };
    let config = with_seeds(config(&plan, directory.path(), listener, &url), name, &[]);
    let member = join_and_start(config, name, directory, url).await;
    publish(&member.node, name).await;
    member
}

/// Waits until `count` members vote and nothing is under way, as `node` knows it.
pub async fn settled(node: &Node, count: usize) {
    until(&format!("{count} voting members"), || {
        node.members().iter().filter(|member| !member.is_learner).count() == count
            && node.voters() == count
            && node.operation().is_none()
    })
    .await;
}

pub async fn start(plan: &Plan, listener: TcpListener, url: String) -> Member {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let hooks = Arc::<Recorder>::default();
    let node = Node::start(config(plan, directory.path(), listener, &url), hooks.clone())
        .await
        .expect("a fresh member starts");
    Member { node, hooks, directory, url }
}

pub async fn cluster(count: usize, snapshot_count: u64, catchup: u64) -> (Plan, Vec<Member>) {
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

pub async fn put(node: &Node, key: &str, value: &str) -> i64 {
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

pub async fn get(node: &Node, key: &str) -> Option<String> {
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = node.read_index().await {
        assert!(Instant::now() < deadline, "{error}");
    }
    let request = RangeRequest { key: key.to_owned().into(), ..RangeRequest::default() };
    let encoded = node.store().range(&request, &ResponseHeader::default()).expect("a valid range");
    let response = RangeResponse::decode(encoded).expect("our own bytes");
    response.kvs.first().map(|kv| String::from_utf8(kv.value.to_vec()).expect("text"))
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the agent does once it runs; membership checks count only members that have started.
pub async fn publish(node: &Node, name: &str) {
    let attributes = store::MemberAttributes {
        member: node.member_id(),
        name: name.to_owned(),
        client_urls: Vec::new(),
    };
    node.propose_op(Op::MemberAttributes(attributes)).await.expect("a leader");
}

pub fn leader(members: &[Member]) -> usize {
    members.iter().position(|member| member.node.status().is_leader).expect("a leader")
}
