//! Leaders that die, hang or leave.

use std::time::{Duration, Instant};

use quorate_tests::{Cluster, Server, Shape, eventually_within, pb};

use crate::load::{Load, judge};

const RESUME: Duration = Duration::from_secs(20);

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: key.to_owned().into(), value: "1".into(), ..Default::default() }
}

pub async fn killed(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let load = Load::start(&cluster, 2);
    load.more_acknowledged(50, RESUME).await;
    let leader = cluster.leader().await;
    cluster.members[leader].kill();
    load.more_acknowledged(50, RESUME).await;
    assert_ne!(cluster.leader().await, leader);
    cluster.members[leader].start();
    cluster.members[leader].ready().await;
    let history = load.stop().await;
    judge(&cluster, &history).await;
}

pub async fn paused(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let leader = cluster.leader().await;
    let load = Load::start(&cluster, 2);
    for _ in 0..2 {
        load.more_acknowledged(50, RESUME).await;
        cluster.members[leader].pause();
        load.more_acknowledged(50, RESUME).await;
        // It wakes up believing that it leads: its reads must not be stale (etcd issue 20418).
        cluster.members[leader].resume();
        cluster.members[leader].ready().await;
    }
    let history = load.stop().await;
    judge(&cluster, &history).await;
}

pub async fn terminated(server: Server) {
    // An election would take ten seconds here: only a transfer can be quick.
    let shape = Shape::of(3).flag("--heartbeat-interval=500").flag("--election-timeout=10000");
    let mut cluster = Cluster::prepare(&server, shape);
    for member in &mut cluster.members {
        member.start();
    }
    for member in &mut cluster.members {
        member.ready_within(Duration::from_secs(60)).await;
    }
    let leader = cluster.leader().await;
    let other = cluster.members[(leader + 1) % 3].client().with_timeout(Duration::from_secs(1));
    other.put(put("before")).await.unwrap();
    let asked = Instant::now();
    cluster.members[leader].terminate();
    let status = cluster.members[leader].ends_within(Duration::from_secs(15)).await;
    assert!(status.success(), "a clean end: {status}");
    eventually_within(Duration::from_secs(6), "writes go on", async || {
        other.put(put("after")).await.ok()
    })
    .await;
    assert!(asked.elapsed() < Duration::from_secs(8), "that was an election, not a transfer");
    assert_ne!(cluster.leader().await, leader);
}

pub async fn no_majority(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let survivor = cluster.members[0].client();
    survivor.put(put("a")).await.unwrap();
    cluster.members[1].kill();
    cluster.members[2].kill();
    // Both have to fail within the server's own request timeout of seven seconds and some.
    let status = survivor.put(put("b")).await.unwrap_err();
    let expected = "etcdserver: request timed out";
    let told =
        status.message().starts_with(expected) || status.message() == "etcdserver: no leader";
    assert!(status.code() == tonic::Code::Unavailable && told, "{status:?}");
    let read = pb::RangeRequest { key: "a".into(), ..Default::default() };
    survivor.range(read.clone()).await.unwrap_err();
    let local = pb::RangeRequest { serializable: true, ..read };
    assert_eq!(survivor.range(local).await.unwrap().count, 1, "a local read needs no majority");
    for member in &mut cluster.members[1..] {
        member.start();
    }
    cluster.all_ready().await;
    survivor.put(put("c")).await.unwrap();
}

pub async fn five_lose_two(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(5)).await;
    let load = Load::start(&cluster, 2);
    load.more_acknowledged(50, RESUME).await;
    let leader = cluster.leader().await;
    let other = (leader + 1) % cluster.members.len();
    cluster.members[leader].kill();
    cluster.members[other].kill();
    load.more_acknowledged(50, RESUME).await;
    cluster.members[leader].start();
    cluster.members[other].start();
    cluster.all_ready().await;
    let history = load.stop().await;
    judge(&cluster, &history).await;
}
