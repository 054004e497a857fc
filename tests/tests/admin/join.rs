//! A member that gets its place by itself, as far as the process around it is concerned.

use std::fs;
use std::time::{Duration, Instant};

use quorate_tests::{Cluster, Member, Server, Suite, eventually};

use crate::ask::{cluster_of, give_socket, status, status_when};
use crate::manager::Manager;

/// Whoever stops a service must not wait for a cluster.
const STOP_MAX: Duration = Duration::from_secs(5);

pub fn add(suite: &mut Suite) {
    suite.on_ours("a_joiner_that_waits_says_why_and_stops_at_once", None, a_joiner_that_waits);
    suite.on_ours("a_joiner_is_ready_when_it_serves", None, a_joiner_is_ready_when_it_serves);
}

/// A joiner with a socket and a file of seeds that is not there yet.
fn seeded(cluster: &mut Cluster, name: &str) -> usize {
    let index = cluster.joiner(name);
    let member = &mut cluster.members[index];
    give_socket(member);
    let flag = format!("--join-seeds-file={}", seeds_file(member).display());
    member.flags_mut().extra.push(flag);
    index
}

fn seeds_file(member: &Member) -> std::path::PathBuf {
    member.data_dir().parent().unwrap().join("seeds")
}

async fn a_joiner_that_waits(server: Server) {
    let mut cluster = cluster_of(&server, 1).await;
    let index = seeded(&mut cluster, "m2");
    let joiner = &mut cluster.members[index];
    let manager = Manager::listen(joiner.data_dir().parent().unwrap());
    joiner.set_env("NOTIFY_SOCKET", manager.address());
    joiner.start();
    let waiting = status_when(&server, joiner, "it says why it waits", |status| {
        status["state"] == "joining" && status["reason"] != ""
    })
    .await;
    let reason = waiting["reason"].as_str().unwrap();
    assert!(!reason.contains('\n'), "{reason}");
    assert!(waiting["member_id"].is_null() && waiting["is_ready"] == false, "{waiting}");
    let heard = manager.heard();
    assert!(heard.iter().any(|line| line.starts_with("EXTEND_TIMEOUT_USEC=")), "{heard:?}");
    assert!(heard.contains(&format!("STATUS=joining: {reason}")), "{heard:?}");
    assert!(!heard.iter().any(|line| line == "READY=1"), "{heard:?}");
    let asked = Instant::now();
    joiner.terminate();
    let ended = joiner.ends_within(STOP_MAX).await;
    assert!(ended.success(), "{ended} after {:?}", asked.elapsed());
}

async fn a_joiner_is_ready_when_it_serves(server: Server) {
    let mut cluster = cluster_of(&server, 1).await;
    let index = seeded(&mut cluster, "m2");
    let seed = cluster.members[0].peer_url();
    let joiner = &mut cluster.members[index];
    let manager = Manager::listen(joiner.data_dir().parent().unwrap());
    joiner.set_env("NOTIFY_SOCKET", manager.address());
    joiner.start();
    status_when(&server, joiner, "it waits", |status| status["state"] == "joining").await;
    fs::write(seeds_file(joiner), format!("# written late\n{seed}\n")).unwrap();
    let mut heard = Vec::new();
    eventually("the manager hears that it is ready", async || {
        heard.extend(manager.heard());
        heard.iter().any(|line| line == "READY=1").then_some(())
    })
    .await;
    let status = status(&server, &cluster.members[index]).await;
    assert_eq!((status["state"].as_str(), status["name"].as_str()), (Some("member"), Some("m2")));
    status_when(&server, &cluster.members[0], "it votes", |status| {
        let members = status["members"].as_array().cloned().unwrap_or_default();
        members.iter().any(|member| member["name"] == "m2" && member["is_learner"] == false)
            && status["operation"].is_null()
    })
    .await;
}
