//! Members with an admin socket, and the command that asks them.

use std::path::{Path, PathBuf};
use std::process::Output;

use quorate_tests::{Cluster, Member, Server, Shape, eventually};
use serde_json::Value;
use tokio::process::Command;

/// Where a member of a test has its socket.
pub fn socket_of(member: &Member) -> PathBuf {
    let directory = member.data_dir().parent().unwrap().to_owned();
    directory.join("admin.sock")
}

/// Has the member open its socket when it starts.
pub fn give_socket(member: &mut Member) {
    let flag = format!("--admin-socket={}", socket_of(member).display());
    member.flags_mut().extra.push(flag);
}

/// A cluster whose members have sockets.
pub async fn cluster_of(server: &Server, members: usize) -> Cluster {
    let mut cluster = Cluster::prepare(server, Shape::of(members));
    for member in &mut cluster.members {
        give_socket(member);
        member.start();
    }
    cluster.all_ready().await;
    cluster
}

/// How a command ended.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    /// What it printed on stdout, if that was JSON.
    pub json: Value,
    pub stderr: String,
}

/// The member's binary with these words and nothing of the developer's environment.
pub fn command(server: &Server, words: &[&str]) -> Command {
    let mut command = Command::new(&server.path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ETCD_") {
            command.env_remove(name);
        }
    }
    command.args(words).kill_on_drop(true);
    command
}

pub fn answer(output: Output) -> Answer {
    let text = String::from_utf8_lossy(&output.stdout);
    Answer {
        code: output.status.code(),
        json: serde_json::from_str(&text).unwrap_or_default(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// `quorate admin` at a socket.
pub async fn admin_at(server: &Server, socket: &Path, words: &str) -> Answer {
    let mut all = vec!["admin", "--timeout-s=90"];
    all.extend(words.split_whitespace());
    let mut command = command(server, &all);
    answer(command.env("ETCD_ADMIN_SOCKET", socket).output().await.unwrap())
}

/// `quorate admin` to a member.
pub async fn admin(server: &Server, member: &Member, words: &str) -> Answer {
    admin_at(server, &socket_of(member), words).await
}

/// The status of a member, which must answer.
pub async fn status(server: &Server, member: &Member) -> Value {
    let answer = admin(server, member, "status").await;
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer.json
}

/// Waits until a member's status is as wanted.
pub async fn status_when(
    server: &Server,
    member: &Member,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    eventually(what, async || {
        let answer = admin(server, member, "status").await;
        (answer.code == Some(0) && wanted(&answer.json)).then_some(answer.json)
    })
    .await
}
