//! Some members that form one cluster.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::Client;
use crate::member::{Member, MemberFlags};
use crate::pb;
use crate::server::Server;
use crate::wait::eventually;

/// How many members, and their flags beyond addresses.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Founding members.
    pub members: usize,
    /// Flags for each of them.
    pub extra: Vec<String>,
}

impl Shape {
    /// `members` with etcd's defaults.
    pub fn of(members: usize) -> Self {
        Self { members, extra: Vec::new() }
    }

    /// One flag more, as on a command line.
    pub fn flag(mut self, flag: impl Into<String>) -> Self {
        self.extra.push(flag.into());
        self
    }
}

/// A cluster below one temporary directory; everything ends and is removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    /// The members, founders first, in order of name: `m1`, `m2`...
    pub members: Vec<Member>,
    server: Server,
    token: String,
    extra: Vec<String>,
    // Last: it is removed after the members that write in it have been killed.
    directory: TempDir,
}

impl Cluster {
    /// Starts the founders and waits until each serves linearizable reads.
    pub async fn start(server: &Server, shape: Shape) -> Self {
        let mut cluster = Self::prepare(server, shape);
        for member in &mut cluster.members {
            member.start();
        }
        cluster.all_ready().await;
        cluster
    }

    /// The founders with addresses and directories, none of them started.
    pub fn prepare(server: &Server, shape: Shape) -> Self {
        let directory =
            tempfile::Builder::new().prefix("quorate-test-").tempdir().expect("a directory");
        let token = format!("token-{:x}", rand::random::<u64>());
        let flags = MemberFlags {
            initial_cluster: String::new(),
            state: "new",
            token: token.clone(),
            extra: shape.extra.clone(),
        };
        let mut members: Vec<Member> = (1..=shape.members)
            .map(|number| {
                let name = format!("m{number}");
                Member::new(server, &name, &directory.path().join(&name), flags.clone())
            })
            .collect();
        let initial_cluster = initial_cluster(&members);
        for member in &mut members {
            member.flags_mut().initial_cluster.clone_from(&initial_cluster);
        }
        Self { members, server: server.clone(), token, extra: shape.extra, directory }
    }

    /// Waits until every member that was started serves.
    pub async fn all_ready(&mut self) {
        for member in self.members.iter_mut().filter(|member| member.pid().is_some()) {
            member.ready().await;
        }
    }

    /// A connection to the first member.
    pub fn client(&self) -> Client {
        self.members[0].client()
    }

    /// Connections to all members, in order.
    pub fn clients(&self) -> Vec<Client> {
        self.members.iter().map(Member::client).collect()
    }

    /// The directory everything is below.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The binary the members run.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// Index of the member that all running members call leader.
    pub async fn leader(&self) -> usize {
        eventually("all running members agree on a leader", async || self.leader_now().await).await
    }

    /// Index of some running member that is not the leader.
    pub async fn follower(&self) -> usize {
        let leader = self.leader().await;
        (0..self.members.len())
            .find(|&index| index != leader && self.members[index].pid().is_some())
            .expect("a cluster with followers")
    }

    /// A member beyond the founders: with the ports and flags for joining, not started. Who calls
    /// has to announce it with MemberAdd (its URL is [`Member::peer_url`]).
    pub fn joiner(&mut self, name: &str) -> usize {
        let flags = MemberFlags {
            initial_cluster: String::new(),
            state: "existing",
            token: self.token.clone(),
            extra: self.extra.clone(),
        };
        let directory = self.directory.path().join(name);
        self.members.push(Member::new(&self.server, name, &directory, flags));
        self.members.len() - 1
    }

    /// Sets the `--initial-cluster` of one member to those `listed`.
    pub fn list_for(&mut self, member: usize, listed: &[usize]) {
        let chosen = listed.iter().map(|&index| &self.members[index]);
        let value = initial_cluster(chosen);
        self.members[member].flags_mut().initial_cluster = value;
    }

    async fn leader_now(&self) -> Option<usize> {
        let mut leader = None;
        let mut ids = Vec::new();
        for member in &self.members {
            if member.pid().is_none() {
                ids.push(None);
                continue;
            }
            let client = member.client().with_timeout(Duration::from_secs(1));
            let status = client.status(pb::Empty {}).await.ok()?;
            ids.push(status.header.map(|header| header.member_id));
            if status.leader == 0 || leader.is_some_and(|known| known != status.leader) {
                return None;
            }
            leader = Some(status.leader);
        }
        ids.iter().position(|&id| id == leader)
    }
}

fn initial_cluster<'a>(members: impl IntoIterator<Item = &'a Member>) -> String {
    let entries: Vec<String> = members
        .into_iter()
        .map(|member| format!("{}={}", member.name(), member.peer_url()))
        .collect();
    entries.join(",")
}
