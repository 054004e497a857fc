//! A cluster of one server on loopback.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::compare::client;
use crate::compare::options::Bench;
use crate::compare::processes::Processes;
use crate::compare::server::Server;
use crate::process::{self, Memory, Usage};

/// From start to healthy, also with a million keys on disk.
const HEALTHY_MAX: Duration = Duration::from_secs(120);

/// After a pause the members hear of each other again before anything is measured.
const SETTLE: Duration = Duration::from_millis(500);

/// etcd stops writes at 2 GiB unless told otherwise, and many rounds write more than that.
const QUOTA: (&str, &str) = ("ETCD_QUOTA_BACKEND_BYTES", "8589934592");

struct Member {
    arguments: Vec<String>,
    directory: PathBuf,
    endpoint: String,
    pid: Option<u32>,
}

/// Members, their processes and their data. Dropping it kills the processes.
pub struct Cluster {
    /// What runs here.
    pub server: Server,
    members: Vec<Member>,
    processes: Processes,
}

impl Cluster {
    /// Starts a new, empty cluster below a fresh directory and waits until it is healthy; also
    /// says how long that took.
    ///
    /// # Errors
    /// When a member cannot be started or does not become healthy.
    pub fn start(bench: &Bench, server: &Server, members: usize) -> Result<(Self, Duration)> {
        let directory = tempfile::Builder::new().prefix("cluster-").tempdir_in(&bench.directory)?;
        let directory = directory.keep(); // goes with the whole working directory
        let ports = free_ports(2 * members)?;
        let (client_ports, peer_ports) = ports.split_at(members);
        let names = (1..=members).map(|number| format!("m{number}"));
        let initial: Vec<String> = names
            .clone()
            .zip(peer_ports)
            .map(|(name, port)| format!("{name}=http://127.0.0.1:{port}"))
            .collect();
        let members = names
            .zip(client_ports.iter().zip(peer_ports))
            .map(|(name, (&client, &peer))| {
                Member::new(&directory, &name, client, peer, &initial.join(","))
            })
            .collect();
        let (server, processes) = (server.clone(), bench.processes.clone());
        let mut cluster = Self { server, members, processes };
        let took = cluster.start_members()?;
        Ok((cluster, took))
    }

    /// Client endpoints, the leader's first: that is where few connections go.
    ///
    /// # Errors
    /// When no member leads.
    pub fn endpoints(&self) -> Result<Vec<String>> {
        let mut endpoints = self.all_endpoints();
        let leader = client::leader(&endpoints)?;
        endpoints.rotate_left(leader);
        Ok(endpoints)
    }

    /// Starts all members that do not run; how long until the cluster was healthy.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_members(&mut self) -> Result<Duration> {
        let started = Instant::now();
        for member in self.members.iter_mut().filter(|member| member.pid.is_none()) {
            member.pid = Some(member.spawn(&self.server, &self.processes)?);
        }
        self.wait_healthy()?;
        Ok(started.elapsed())
    }

    /// Ends all members politely; their data stays.
    ///
    /// # Errors
    /// When one does not end.
    pub fn stop_members(&mut self) -> Result<()> {
        for pid in self.members.iter_mut().filter_map(|member| member.pid.take()) {
            self.processes.terminate(pid)?;
        }
        Ok(())
    }

    /// What kills the member with this endpoint; call [`start_members`](Self::start_members)
    /// afterwards.
    ///
    /// # Errors
    /// When there is none that runs.
    pub fn killer(&mut self, endpoint: &str) -> Result<impl FnOnce() + use<>> {
        let member = self.members.iter_mut().find(|member| member.endpoint == endpoint);
        let pid = member.and_then(|member| member.pid.take()).context("no such member")?;
        let processes = self.processes.clone();
        Ok(move || processes.kill(pid))
    }

    /// Stops all members where they are.
    pub fn pause(&self) {
        self.pids().for_each(|pid| self.processes.pause(pid));
    }

    /// Lets them go on, and waits until the cluster is healthy and quiet.
    ///
    /// # Errors
    /// When it does not become healthy.
    pub fn resume(&self) -> Result<()> {
        self.pids().for_each(|pid| self.processes.resume(pid));
        self.wait_healthy()?;
        std::thread::sleep(SETTLE);
        Ok(())
    }

    /// What all members used since they started.
    ///
    /// # Errors
    /// When one is gone.
    pub fn usage(&self) -> Result<Usage> {
        self.pids()
            .try_fold(Usage::default(), |sum, pid| Ok(sum + process::usage(&pid.to_string())?))
    }

    /// Memory of all members.
    ///
    /// # Errors
    /// When one is gone.
    pub fn memory(&self) -> Result<Memory> {
        self.pids()
            .try_fold(Memory::default(), |sum, pid| Ok(sum + process::memory(&pid.to_string())?))
    }

    /// Blocks on disk of all members' data directories.
    ///
    /// # Errors
    /// When a directory cannot be read.
    pub fn disk_bytes(&self) -> Result<u64> {
        self.members.iter().try_fold(0, |sum, member| Ok(sum + disk_bytes(&member.directory)?))
    }

    fn all_endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.endpoint.clone()).collect()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        self.members.iter().filter_map(|member| member.pid)
    }

    fn wait_healthy(&self) -> Result<()> {
        client::wait_healthy(&self.all_endpoints(), HEALTHY_MAX, &|| self.check_alive())
            .with_context(|| format!("{} does not come up", self.server.kind.label()))
    }

    fn check_alive(&self) -> Result<()> {
        for member in &self.members {
            if member.pid.is_some_and(|pid| !self.processes.alive(pid)) {
                let log = fs::read_to_string(member.log()).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(5).collect();
                bail!(
                    "{} ended; its last lines, newest first:\n{}",
                    member.arguments[1],
                    last.join("\n")
                );
            }
        }
        Ok(())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.pids().for_each(|pid| self.processes.kill(pid));
        for member in &self.members {
            let _ = fs::remove_dir_all(&member.directory); // else with the working directory
        }
    }
}

impl Member {
    fn new(directory: &Path, name: &str, client: u16, peer: u16, initial_cluster: &str) -> Self {
        let endpoint = format!("127.0.0.1:{client}");
        let directory = directory.join(name);
        let arguments = [
            ("--name", name.to_owned()),
            ("--data-dir", directory.display().to_string()),
            ("--listen-client-urls", format!("http://{endpoint}")),
            ("--advertise-client-urls", format!("http://{endpoint}")),
            ("--listen-peer-urls", format!("http://127.0.0.1:{peer}")),
            ("--initial-advertise-peer-urls", format!("http://127.0.0.1:{peer}")),
            ("--initial-cluster", initial_cluster.to_owned()),
            ("--initial-cluster-state", "new".to_owned()),
            ("--initial-cluster-token", "compare".to_owned()),
            ("--log-level", "error".to_owned()),
        ];
        let arguments = arguments.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        Self { arguments: arguments.collect(), directory, endpoint, pid: None }
    }

    fn log(&self) -> PathBuf {
        self.directory.with_extension("log")
    }

    fn spawn(&self, server: &Server, processes: &Processes) -> Result<u32> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = Command::new(&server.program);
        command.args(&self.arguments).env(QUOTA.0, QUOTA.1);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        processes.spawn(&mut command)
    }
}

/// Ports that were free a moment ago. All are held until all are known, so they differ.
fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// As du(1) counts: blocks that are allocated, so a hole in a file is free.
fn disk_bytes(path: &Path) -> Result<u64> {
    use std::os::unix::fs::MetadataExt as _;
    /// stat(2) counts in these, whatever the file system does.
    const BLOCK_BYTES: u64 = 512;
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(metadata) = entry.metadata() else { continue }; // renamed meanwhile
        bytes += match metadata.is_dir() {
            true => disk_bytes(&entry.path())?,
            false => metadata.blocks() * BLOCK_BYTES,
        };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(6).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 6);
    }

    #[test]
    fn disk_use_counts_folders_below_but_no_holes() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("wal");
        fs::create_dir(&below).unwrap();
        fs::write(below.join("segment"), vec![1; 100_000]).unwrap();
        File::create(directory.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        let bytes = disk_bytes(directory.path()).unwrap();
        assert!((100_000..1_000_000).contains(&bytes), "{bytes}");
    }
}
