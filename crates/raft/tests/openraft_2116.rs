//! The circumstances of openraft issue 2116: sustained writes on few cores, followers that fall
//! behind, a log that keeps nothing, snapshots all the time.
//!
//! What panics, and that it can be provoked at will in the release we use, is shown message by
//! message in `src/peer/install_tests.rs`; decision 0006 says how our members keep clear of it.
//! Here real members with our own settings go through it for some seconds. Each follower in turn is
//! cut off until the log no longer has what it needs, so that it is sent a snapshot, and is cut off
//! again while it catches up; the leader is moved in between, because the panic needs entries that
//! come a second time from a new leader.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::etcdserverpb::PutRequest;
use common::{Member, PATIENCE, Plan, Recorder, config, get, listeners, put, until};
use quorate_raft::Node;
use store::Op;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const WRITERS: usize = 16;
const VALUE_BYTES: usize = 1 << 10;
/// Entries between two snapshots; none is kept behind one.
const SNAPSHOT_ENTRIES: u64 = 50;
const ROUNDS: usize = 3;

/// A way to a member that can be cut.
struct Proxy {
    open: watch::Sender<bool>,
    url: String,
}

impl Proxy {
    async fn start(target: String) -> Self {
        let (listener, url) = listeners(1).await.pop().expect("one socket");
        let (open, is_open) = watch::channel(true);
        tokio::spawn(forward_all(listener, target, is_open));
        Self { open, url }
    }
}

async fn forward_all(listener: TcpListener, target: String, is_open: watch::Receiver<bool>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let (target, mut is_open) = (target.clone(), is_open.clone());
        if !*is_open.borrow() {
            continue;
        }
        tokio::spawn(async move {
            let Ok(mut to) = TcpStream::connect(target).await else { return };
            tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
                _ = is_open.wait_for(|open| !open) => {}
            }
        });
    }
}

/// Three members that reach each other through proxies only.
async fn cluster() -> (Vec<Member>, Vec<Proxy>) {
    let sockets = listeners(3).await;
    let mut proxies = Vec::new();
    for (_, url) in &sockets {
        proxies.push(Proxy::start(url.trim_start_matches("http://").to_owned()).await);
    }
    let founders = proxies
        .iter()
        .enumerate()
        .map(|(number, proxy)| (format!("m{number}"), vec![proxy.url.clone()]))
        .collect();
    let plan = Plan { founders, join: false, snapshot_count: SNAPSHOT_ENTRIES, catchup: 0 };
    let mut members = Vec::new();
    for ((listener, _), proxy) in sockets.into_iter().zip(&proxies) {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let hooks = Arc::<Recorder>::default();
        let config = config(&plan, directory.path(), listener, &proxy.url);
        let node = Node::start(config, hooks.clone()).await.expect("a fresh member starts");
        members.push(Member { node, hooks, directory, url: proxy.url.clone() });
    }
    (members, proxies)
}

/// Writes until told to stop and returns the number of the last write that was acknowledged: the
/// writes of one writer go to one key, one after the other.
async fn write(node: Node, writer: usize, stop: Arc<AtomicBool>, done: Arc<AtomicU64>) -> u64 {
    let (mut acknowledged, mut number) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let request = PutRequest {
            key: format!("writer-{writer}").into(),
            value: format!("{number:0VALUE_BYTES$}").into(),
            ..PutRequest::default()
        };
        // An error says nothing of what became of the write.
        if node.propose_op(Op::Put(request)).await.is_ok() {
            acknowledged = number;
            done.fetch_add(1, Ordering::Relaxed);
        }
    }
    acknowledged
}

fn leader(members: &[Member]) -> Option<usize> {
    members.iter().position(|member| member.node.status().is_leader)
}

/// The last index that is gone from a member's log.
fn purged(member: &Member) -> u64 {
    member.node.log().state().0.map_or(0, |purged| purged.index)
}

async fn pass(pause: Duration) {
    let begin = Instant::now();
    until("the passing of time", || begin.elapsed() > pause).await;
}

/// Cuts a follower off until the log has gone past it, again while it catches up, and waits until it
/// has.
async fn disturb(members: &[Member], proxies: &[Proxy], round: usize) {
    until("a leader", || leader(members).is_some()).await;
    let leading = leader(members).unwrap_or_default();
    let follower = (leading + 1 + round % 2) % 3;
    let last = members[follower].node.log().state().1.map_or(0, |last| last.index);
    proxies[follower].open.send_replace(false);
    until("a purge past the follower", || {
        purged(&members[leading]) > last + SNAPSHOT_ENTRIES || leader(members) != Some(leading)
    })
    .await;
    for pause in [20, 60] {
        proxies[follower].open.send_replace(true);
        pass(Duration::from_millis(pause)).await;
        proxies[follower].open.send_replace(false);
        pass(Duration::from_millis(pause)).await;
    }
    proxies[follower].open.send_replace(true);
    let other = members[3 - leading - follower].node.member_id();
    // Without success when the follower has become leader meanwhile.
    let _ = members[leading].node.move_leader(other).await;
    let goal = members[leading].node.status().applied_index;
    until("catching up", || members[follower].node.status().applied_index >= goal).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lagging_followers_and_a_log_that_keeps_nothing_cost_no_member_and_no_write() {
    let (members, proxies) = cluster().await;
    put(&members[0].node, "first", "write").await;
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let node = members[writer % 3].node.clone();
            tokio::spawn(write(node, writer, stop.clone(), done.clone()))
        })
        .collect();
    let replaced = || members.iter().map(|member| member.hooks.replaced()).sum::<u64>();
    for round in 0..ROUNDS {
        disturb(&members, &proxies, round).await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.push(writer.await.expect("no panic"));
    }
    assert!(replaced() >= 2, "followers were to need snapshots");
    assert!(done.load(Ordering::Relaxed) > 20 * SNAPSHOT_ENTRIES, "the load was to be sustained");
    for member in &members {
        assert_eq!(member.hooks.fatal(), None);
        for (writer, acknowledged) in acknowledged.iter().enumerate() {
            let found = get(&member.node, &format!("writer-{writer}")).await;
            let found: u64 = found.map_or(0, |value| value.parse().expect("a number"));
            assert!(found >= *acknowledged, "writer {writer}: {found} < {acknowledged}");
        }
    }
    same_everywhere(&members).await;
    for member in &members {
        member.node.shutdown().await;
    }
}

async fn same_everywhere(members: &[Member]) {
    let revision = members[0].node.store().current_revision();
    let deadline = Instant::now() + PATIENCE;
    let hash = |member: &Member| {
        tokio::task::block_in_place(|| member.node.store().hash_kv(revision)).expect("readable")
    };
    for member in members {
        while member.node.store().current_revision() < revision {
            assert!(Instant::now() < deadline, "a member does not catch up");
            tokio::task::yield_now().await;
        }
        assert_eq!(hash(member), hash(&members[0]));
    }
}
