//! One member process: started, killed, paused and restarted on its own data directory.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::ports::Port;
use crate::server::Server;
use crate::wait::eventually_within;

/// How many of the last log bytes a failure prints.
const LOG_TAIL_BYTES: usize = 6_000;

/// What a member is started with besides its addresses.
#[derive(Clone, Debug)]
pub struct MemberFlags {
    /// `--initial-cluster`.
    pub initial_cluster: String,
    /// `--initial-cluster-state`: `new` or `existing`.
    pub state: &'static str,
    /// `--initial-cluster-token`.
    pub token: String,
    /// Anything else, as on a command line.
    pub extra: Vec<String>,
}

/// A member with its ports, directory and log; killed when dropped.
#[derive(Debug)]
pub struct Member {
    server: Server,
    name: String,
    client_port: Port,
    peer_port: Port,
    directory: PathBuf,
    flags: MemberFlags,
    environment: Vec<(String, String)>,
    child: Option<Child>,
}

impl Member {
    /// A member that is not started yet; everything it writes is below `directory`.
    pub fn new(server: &Server, name: &str, directory: &Path, flags: MemberFlags) -> Self {
        fs::create_dir_all(directory).expect("the test's directory is writable");
        Self {
            server: server.clone(),
            name: name.to_owned(),
            client_port: Port::claim(),
            peer_port: Port::claim(),
            directory: directory.to_owned(),
            flags,
            environment: Vec::new(),
            child: None,
        }
    }

    /// `--name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The client URL.
    pub fn client_url(&self) -> String {
        self.client_port.url()
    }

    /// `host:port` of the client URL.
    pub fn client_address(&self) -> String {
        self.client_port.address()
    }

    /// The peer URL.
    pub fn peer_url(&self) -> String {
        self.peer_port.url()
    }

    /// `host:port` of the peer URL.
    pub fn peer_address(&self) -> String {
        self.peer_port.address()
    }

    /// `--data-dir`.
    pub fn data_dir(&self) -> PathBuf {
        self.directory.join("data")
    }

    /// A new connection to it.
    pub fn client(&self) -> Client {
        Client::new(&self.client_url())
    }

    /// What later starts use.
    pub fn flags_mut(&mut self) -> &mut MemberFlags {
        &mut self.flags
    }

    /// Sets an environment variable for later starts.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Starts the process; does not wait until it serves. Panics if it already runs.
    pub fn start(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log =
            OpenOptions::new().create(true).append(true).open(self.log_path()).expect("a log");
        let child = self
            .command()
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.server.path.display()));
        self.child = Some(child);
    }

    /// Waits until a linearizable read succeeds. Panics with the log when the process ends first
    /// or after `within`.
    pub async fn ready_within(&mut self, within: Duration) {
        let client = self.client().with_timeout(Duration::from_secs(2));
        let name = self.name.clone();
        eventually_within(within, &format!("{name} serves a linearizable read"), async || {
            if let Some(status) = self.exited() {
                panic!("{name} ended with {status} instead of serving");
            }
            let request = crate::pb::RangeRequest { key: "ready".into(), ..Default::default() };
            client.range(request).await.ok()
        })
        .await;
    }

    /// As [`Member::ready_within`] with the usual 30 s.
    pub async fn ready(&mut self) {
        self.ready_within(Duration::from_secs(30)).await;
    }

    /// SIGKILL, and waits for the corpse.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Refusal means it is dead already, which is what is wanted.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGTERM; does not wait.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it has; afterwards it can be started again.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.as_mut()?.try_wait().expect("a child of ours can be waited for")?;
        self.child = None;
        Some(status)
    }

    /// Waits until the process ends by itself.
    pub async fn ends_within(&mut self, within: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        eventually_within(within, &what, async || self.exited()).await
    }

    /// Everything it has printed so far, over all its starts.
    pub fn log(&self) -> String {
        let bytes = fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Forgets what was printed so far, so that the next look sees only what comes now.
    pub fn clear_log(&self) {
        File::create(self.log_path()).expect("the log is ours");
    }

    fn log_path(&self) -> PathBuf {
        self.directory.join("log")
    }

    fn signal(&self, signal: Signal) {
        let pid = self.pid().unwrap_or_else(|| panic!("{} does not run", self.name));
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, signal).expect("a child of ours can be signalled");
    }

    fn command(&self) -> Command {
        let mut command = mortal(&self.server.path);
        for (name, _) in std::env::vars_os() {
            // A developer's ETCD_* must not configure members under test.
            if name.to_string_lossy().starts_with("ETCD_") {
                command.env_remove(name);
            }
        }
        command
            .arg(format!("--name={}", self.name))
            .arg(format!("--data-dir={}", self.data_dir().display()))
            .arg(format!("--listen-client-urls={}", self.client_url()))
            .arg(format!("--advertise-client-urls={}", self.client_url()))
            .arg(format!("--listen-peer-urls={}", self.peer_url()))
            .arg(format!("--initial-advertise-peer-urls={}", self.peer_url()))
            .arg(format!("--initial-cluster={}", self.flags.initial_cluster))
            .arg(format!("--initial-cluster-state={}", self.flags.state))
            .arg(format!("--initial-cluster-token={}", self.flags.token))
            .args(&self.flags.extra)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(LOG_TAIL_BYTES);
            let start = (start..log.len()).find(|&at| log.is_char_boundary(at)).unwrap_or(0);
            eprintln!("---- end of the log of {}\n{}----", self.name, &log[start..]);
        }
        self.kill();
    }
}

/// A command that dies with the thread that starts it, where `setpriv` is at hand; elsewhere the
/// drop of [`Member`] and the runner's process group do it.
fn mortal(program: &Path) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.is_file() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}
