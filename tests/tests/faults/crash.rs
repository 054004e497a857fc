//! kill -9, in every number.

use std::time::{Duration, Instant};

use quorate_tests::{Cluster, Server, Shape};
use rand::Rng;

use crate::load::{Load, judge};

/// Length of a crash loop, unless the environment asks for more.
const LOOP_SECONDS: u64 = 20;
/// Deadline for the load to go on after a member was killed or came back.
const RESUME: Duration = Duration::from_secs(20);

fn loop_length() -> Duration {
    let asked = std::env::var("QUORATE_FAULT_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(asked.unwrap_or(LOOP_SECONDS))
}

pub async fn members_killed_in_a_loop(server: Server) {
    // Small snapshots, so that the loop crosses log truncation, too.
    let shape = Shape::of(3).flag("--snapshot-count=500");
    let mut cluster = Cluster::start(&server, shape).await;
    let load = Load::start(&cluster, 2);
    let end = Instant::now() + loop_length();
    let mut rounds = 0;
    while Instant::now() < end {
        load.more_acknowledged(50, RESUME).await;
        let victim = rand::rng().random_range(0..3);
        cluster.members[victim].kill();
        // The other two are a majority.
        load.more_acknowledged(20, RESUME).await;
        cluster.members[victim].start();
        cluster.members[victim].ready().await;
        rounds += 1;
    }
    let history = load.stop().await;
    assert!(rounds >= 2, "only {rounds} rounds");
    assert!(history.acknowledged() > 100);
    judge(&cluster, &history).await;
}

pub async fn single_member(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1).flag("--snapshot-count=200")).await;
    let load = Load::start(&cluster, 4);
    for _ in 0..4 {
        load.more_acknowledged(100, RESUME).await;
        cluster.members[0].kill();
        cluster.members[0].start();
        cluster.members[0].ready().await;
    }
    let history = load.stop().await;
    judge(&cluster, &history).await;
}

pub async fn all_at_once(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    let load = Load::start(&cluster, 2);
    for _ in 0..2 {
        load.more_acknowledged(100, RESUME).await;
        for member in &mut cluster.members {
            member.kill();
        }
        for member in &mut cluster.members {
            member.start();
        }
        cluster.all_ready().await;
    }
    let history = load.stop().await;
    judge(&cluster, &history).await;
}
