//! Which data directory counts as which member is part of the replicated membership.

mod common;

use std::sync::Arc;

use api::etcdserverpb::PutRequest;
use common::{Recorder, cluster, config, leader, listen_at, put, start, until};
use quorate_raft::{Node, StartError};
use store::Op;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_disk_is_refused_by_a_member_that_never_met_it() {
    let (plan, mut members) = cluster(3, 100_000, 100_000).await;
    for member in &members {
        put(&member.node, "k", "v").await;
    }
    for member in &members {
        until("the record of all data directories", || member.node.incarnations_recorded() == 3)
            .await;
    }
    let leading = members.remove(leader(&members));
    let (wiped, other) = (members.pop().expect("a follower"), members.pop().expect("the other"));
    for member in [&leading, &wiped, &other] {
        member.node.shutdown().await;
    }
    // What the other one met itself is gone: to it, every data directory is a new one.
    std::fs::remove_file(other.directory.path().join("member/pins")).expect("it had met somebody");
    let (wiped_url, other_url, directory) = (wiped.url, other.url, other.directory);
    drop((wiped.node, other.node, wiped.directory));
    let listener = listen_at(&other_url).await;
    let hooks = Arc::<Recorder>::default();
    let other = Node::start(config(&plan, directory.path(), listener, &other_url), hooks)
        .await
        .expect("its own directory");
    let empty = start(&plan, listen_at(&wiped_url).await, wiped_url).await;
    // The empty disk would be the second of three.
    let request = PutRequest { key: "after".into(), ..PutRequest::default() };
    assert!(other.propose_op(Op::Put(request)).await.is_err(), "no majority is left");
    assert_eq!(empty.node.status().leader, None);
    other.shutdown().await;
    empty.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_the_membership_disowns_does_not_run() {
    let (plan, mut members) = cluster(1, 100_000, 100_000).await;
    let member = members.pop().expect("one member");
    put(&member.node, "k", "v").await;
    member.node.shutdown().await;
    // Somebody wrote an identity by hand, to get around a lost one.
    let path = member.directory.path().join("member/identity");
    let text = std::fs::read_to_string(&path).expect("an identity");
    let body: String = text
        .lines()
        .filter(|line| !line.starts_with("checksum"))
        .map(|line| match line.strip_prefix("incarnation ") {
            Some(_) => format!("incarnation {:032x}\n", 5),
            None => format!("{line}\n"),
        })
        .collect();
    let sealed = format!("{body}checksum {:08x}\n", crc32c::crc32c(body.as_bytes()));
    std::fs::write(&path, sealed).expect("a writable directory");
    let url = member.url.clone();
    let directory = member.directory;
    drop(member.node);
    let config = config(&plan, directory.path(), listen_at(&url).await, &url);
    match Node::start(config, Arc::<Recorder>::default()).await {
        Err(error @ StartError::Disowned(_)) => {
            assert!(!error.to_string().contains('\n'), "{error}");
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("a foreign directory runs as the member"),
    }
}
