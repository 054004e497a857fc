//! Starts that must fail, with one line that says why.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use quorate_tests::{Cluster, Member, MemberFlags, Server, Shape};
use tokio::process::Command;

/// How long a refusal may take.
const REFUSAL: Duration = Duration::from_secs(15);

/// Runs the binary with these arguments; it has to fail, and its last words are returned.
async fn fails(server: &Server, arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let child = Command::new(&server.path)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let output = tokio::time::timeout(REFUSAL, child.wait_with_output())
        .await
        .unwrap_or_else(|_| panic!("{arguments:?} {environment:?} was not refused"))
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{arguments:?} {environment:?}: {said}");
    said
}

pub async fn flags(server: Server) {
    let wrong = [
        ("--heartbeat-interval=abc", "heartbeat-interval"),
        ("--election-timeout=", "election-timeout"),
        ("--quota-backend-bytes=lots", "quota-backend-bytes"),
        ("--snapshot-count=-1", "snapshot-count"),
        ("--listen-client-urls=nonsense", "listen-client-urls"),
        ("--listen-peer-urls=ftp://127.0.0.1:1", "listen-peer-urls"),
        ("--initial-cluster-state=maybe", "initial-cluster-state"),
        ("--auto-compaction-mode=sometimes", "auto-compaction-mode"),
        ("--frobnicate=1", "frobnicate"),
    ];
    for (flag, name) in wrong {
        let said = fails(&server, &[flag], &[]).await;
        assert!(said.contains(name), "{flag} is not named: {said}");
    }
    let said = fails(&server, &[], &[("ETCD_ELECTION_TIMEOUT", "abc")]).await;
    let named = said.contains("ETCD_ELECTION_TIMEOUT") || said.contains("election-timeout");
    assert!(named, "the variable is not named: {said}");
    // The same setting on both sides is a conflict, not a silent choice.
    let said = fails(&server, &["--name=a"], &[("ETCD_NAME", "b")]).await;
    assert!(said.contains("ETCD_NAME"), "the conflict is not named: {said}");
    // An election timeout must leave room for heartbeats.
    let said = fails(&server, &["--heartbeat-interval=1000", "--election-timeout=1000"], &[]).await;
    assert!(said.contains("election"), "{said}");
}

/// The check existed and nothing called it: a mistyped name made a member that waited for ever in a
/// cluster that did not have it.
pub async fn wrong_initial_cluster(server: Server) {
    let anywhere = [
        "--name=a",
        "--listen-client-urls=http://127.0.0.1:0",
        "--advertise-client-urls=http://127.0.0.1:1",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--initial-advertise-peer-urls=http://127.0.0.1:2",
    ];
    let wrong = [
        ("--initial-cluster=b=http://127.0.0.1:2", "couldn't find local name \"a\""),
        ("--initial-cluster=a=http://127.0.0.1:3", "--initial-advertise-peer-urls"),
        ("--initial-cluster=a=http://127.0.0.1:2,b=http://127.0.0.1:2", "duplicate"),
    ];
    for (cluster, words) in wrong {
        let said = fails(&server, &[&anywhere[..], &[cluster]].concat(), &[]).await;
        assert!(said.contains(words), "{cluster}: {said}");
    }
}

pub async fn port_in_use(server: Server) {
    let mut cluster = Cluster::prepare(&server, Shape::of(1));
    let addresses = [cluster.members[0].client_address(), cluster.members[0].peer_address()];
    for address in addresses {
        let holder = TcpListener::bind(&address).unwrap();
        cluster.members[0].clear_log();
        cluster.members[0].start();
        let status = cluster.members[0].ends_within(REFUSAL).await;
        assert!(!status.success(), "{status}");
        let log = cluster.members[0].log();
        assert!(log.contains(&address), "{address} is not named:\n{log}");
        drop(holder);
    }
    // Nothing was spoiled by the failed starts.
    cluster.members[0].start();
    cluster.members[0].ready().await;
}

pub async fn second_process(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    let directory = cluster.members[0].data_dir().parent().unwrap().to_owned();
    let flags = MemberFlags {
        initial_cluster: String::new(),
        state: "new",
        token: "another".to_owned(),
        extra: Vec::new(),
    };
    let mut second = Member::new(&server, "m1", &directory, flags);
    second.flags_mut().initial_cluster = format!("m1={}", second.peer_url());
    second.start();
    let status = second.ends_within(REFUSAL).await;
    assert!(!status.success(), "{status}");
    let data_dir = second.data_dir().display().to_string();
    assert!(second.log().contains(&data_dir), "the directory is not named:\n{}", second.log());
    cluster.members[0].ready().await;
}

pub async fn etcds_directory(server: Server) {
    let etcd = Server::references().remove(0);
    let mut theirs = Cluster::start(&etcd, Shape::of(1)).await;
    theirs.members[0].terminate();
    theirs.members[0].ends_within(Duration::from_secs(20)).await;
    let directory = theirs.members[0].data_dir().parent().unwrap().to_owned();
    let database = theirs.members[0].data_dir().join("member/snap/db");
    let before = std::fs::read(&database).unwrap();
    let flags = theirs.members[0].flags_mut().clone();
    let mut ours = Member::new(&server, "m1", &directory, flags);
    ours.flags_mut().initial_cluster = format!("m1={}", ours.peer_url());
    ours.clear_log();
    ours.start();
    let status = ours.ends_within(REFUSAL).await;
    assert!(!status.success(), "{status}");
    let data_dir = ours.data_dir().display().to_string();
    assert!(ours.log().contains(&data_dir), "the directory is not named:\n{}", ours.log());
    assert!(std::fs::read(&database).unwrap() == before, "their database was changed");
}
