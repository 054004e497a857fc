//! Plays a script against one server and writes down what a user would have seen.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::cluster::{Cluster, Shape};
use crate::normalise::{Normaliser, protobuf_as_text};
use crate::pb;
use crate::ports::Port;
use crate::script::{Script, Step, words};
use crate::server::Server;

/// Deadline of one command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(30);
/// Deadline of a command the script marks as long by name (`check perf` runs for a minute).
const LONG_COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// Runs `script` against a fresh cluster of `server` and returns the normalised transcript.
pub async fn run(server: &Server, etcdctl: &Path, script: &Script) -> String {
    let mut shape = Shape::of(script.members);
    for flag in &script.flags {
        shape = shape.flag(flag);
    }
    if let Some(interval) = &script.progress_interval {
        shape = shape.flag(server.progress_interval_flag(interval));
    }
    let cluster = Cluster::start(server, shape).await;
    let mut session = Session::open(&cluster, etcdctl, script.by_role).await;
    for step in &script.steps {
        session.step(step).await;
    }
    session.transcript
}

struct Session<'a> {
    cluster: &'a Cluster,
    etcdctl: &'a Path,
    variables: BTreeMap<String, String>,
    normaliser: Normaliser,
    last_output: String,
    background: BTreeMap<String, Background>,
    transcript: String,
    _free: Port,
}

struct Background {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl<'a> Session<'a> {
    async fn open(cluster: &'a Cluster, etcdctl: &'a Path, by_role: bool) -> Self {
        let free = Port::claim();
        let mut session = Self {
            cluster,
            etcdctl,
            variables: BTreeMap::new(),
            normaliser: Normaliser::default(),
            last_output: String::new(),
            background: BTreeMap::new(),
            transcript: String::new(),
            _free: free,
        };
        session.learn_cluster(by_role).await;
        session
    }

    async fn learn_cluster(&mut self, by_role: bool) {
        let leader = self.cluster.leader().await;
        let follower = (0..self.cluster.members.len()).find(|&index| index != leader);
        let mut urls = Vec::new();
        for (index, member) in self.cluster.members.iter().enumerate() {
            let status =
                member.client().status(pb::Empty {}).await.expect("status of a ready member");
            let header = status.header.expect("a header");
            let number = index + 1;
            let name = match (by_role, index) {
                (false, _) => member.name(),
                (true, index) if index == leader => "leader",
                (true, index) if Some(index) == follower => "follower",
                (true, _) => "other",
            };
            let id = format!("{:x}", header.member_id);
            self.normaliser.hide_id(header.cluster_id, "cluster");
            self.normaliser.hide_id(header.member_id, &format!("id-{name}"));
            self.normaliser.hide(&member.client_url(), &format!("client-{name}"));
            self.normaliser.hide(&member.client_address(), &format!("client-{name}"));
            self.normaliser.hide(&member.peer_url(), &format!("peer-{name}"));
            self.set(&format!("E{number}"), member.client_url());
            self.set(&format!("ID{number}"), id.clone());
            for (role, holder) in [("LEADER", Some(leader)), ("FOLLOWER", follower)] {
                if holder == Some(index) {
                    self.set(role, member.client_url());
                    self.set(&format!("{role}_ID"), id.clone());
                }
            }
            urls.push(member.client_url());
        }
        self.set("ENDPOINTS", urls.join(","));
        let free_url = self._free.url();
        self.normaliser.hide(&free_url, "free-url");
        self.set("FREE_URL", free_url);
    }

    fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Run { text, input, sorted, retried: false } => {
                let output = self.output(text, input).await;
                self.write_down(text, input, *sorted, &output);
            }
            Step::Run { text, input, sorted, retried: true } => {
                let output = self.first_success(text, input).await;
                self.write_down(text, input, *sorted, &output);
            }
            Step::Save { name, word } => self.save(name, *word),
            Step::Start { name, text } => self.start(name, text),
            Step::Wait { name, until } => self.wait(name, until.as_deref()).await,
        }
    }

    /// Repeats the command until it succeeds or the deadline is over; gives the last output.
    async fn first_success(&self, text: &str, input: &str) -> Output {
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        loop {
            let output = self.output(text, input).await;
            if output.status.success() || Instant::now() > deadline {
                return output;
            }
        }
    }

    async fn output(&self, text: &str, input: &str) -> Output {
        let mut child = self
            .command(text)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("etcdctl starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A command that reads nothing may close its end first.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let limit =
            if text.contains("check perf") { LONG_COMMAND_TIMEOUT } else { COMMAND_TIMEOUT };
        tokio::time::timeout(limit, child.wait_with_output())
            .await
            .unwrap_or_else(|_| panic!("`{text}` does not end within {limit:?}"))
            .expect("the output of a child")
    }

    fn write_down(&mut self, text: &str, input: &str, sorted: bool, output: &Output) {
        let raw = if text.contains("-w protobuf") && output.status.success() {
            protobuf_as_text(&output.stdout)
        } else {
            String::from_utf8_lossy(&output.stdout).into_owned()
        };
        let mut seen = self.normaliser.apply(&raw);
        if sorted {
            seen = sorted_lines(&seen);
        }
        let mut errors = self.normaliser.apply(&String::from_utf8_lossy(&output.stderr));
        if sorted {
            errors = sorted_lines(&errors);
        }
        self.transcript.push_str(&format!("$ {text}\n"));
        for line in input.lines() {
            self.transcript.push_str(&format!("| {line}\n"));
        }
        self.push_block("", &seen);
        self.push_block("[stderr] ", &errors);
        match output.status.code() {
            Some(0) => {}
            Some(code) => self.transcript.push_str(&format!("[exit {code}]\n")),
            None => self.transcript.push_str("[killed]\n"),
        }
        self.last_output = raw;
    }

    fn push_block(&mut self, prefix: &str, text: &str) {
        for line in text.lines() {
            self.transcript.push_str(&format!("{prefix}{line}\n"));
        }
    }

    fn save(&mut self, name: &str, word: usize) {
        let value = self
            .last_output
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty())
            .nth(word - 1)
            .unwrap_or_else(|| panic!("no word {word} for {name} in: {}", self.last_output))
            .to_owned();
        self.normaliser.hide(&value, name);
        if let Ok(id) = u64::from_str_radix(&value, 16) {
            self.normaliser.hide_id(id, name);
        }
        // The line it came from is in the transcript already.
        self.transcript = self.transcript.replace(&value, &format!("<{name}>"));
        self.set(name, value);
    }

    fn start(&mut self, name: &str, text: &str) {
        let mut child = self
            .command(text)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("etcdctl starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        self.transcript.push_str(&format!("& {name} {text}\n"));
        self.background.insert(name.to_owned(), Background { child, lines });
    }

    async fn wait(&mut self, name: &str, until: Option<&str>) {
        let mut background =
            self.background.remove(name).unwrap_or_else(|| panic!("nothing runs as {name}"));
        let mut seen = String::new();
        let ended = loop {
            let line = tokio::time::timeout(COMMAND_TIMEOUT, background.lines.next_line())
                .await
                .unwrap_or_else(|_| {
                    panic!("{name}: no {until:?} within {COMMAND_TIMEOUT:?}; seen:\n{seen}")
                })
                .expect("the output of a child");
            let Some(line) = line else { break true };
            seen.push_str(&line);
            seen.push('\n');
            if until.is_some_and(|text| line.contains(text)) {
                break false;
            }
        };
        self.transcript.push_str(&format!("wait {name}\n"));
        let seen = self.normaliser.apply(&seen);
        self.push_block("", &seen);
        if ended {
            let output = background.child.wait_with_output().await.expect("a child of ours");
            let errors = self.normaliser.apply(&String::from_utf8_lossy(&output.stderr));
            self.push_block("[stderr] ", &errors);
            self.transcript.push_str(&format!("[exit {:?}]\n", output.status.code()));
        } else {
            background.child.kill().await.expect("a child of ours can be killed");
        }
    }

    fn command(&self, text: &str) -> Command {
        let mut arguments = words(text).into_iter().map(|word| self.expand(&word));
        let program = arguments.next().unwrap_or_default();
        assert_eq!(program, "etcdctl", "scripts run etcdctl only: {text}");
        let mut command = Command::new(self.etcdctl);
        command.args(arguments).kill_on_drop(true);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("ETCD") {
                command.env_remove(name);
            }
        }
        command.env("ETCDCTL_API", "3");
        if !text.contains("--endpoints") {
            command.env("ETCDCTL_ENDPOINTS", &self.variables["ENDPOINTS"]);
        }
        command
    }

    fn expand(&self, word: &str) -> String {
        let mut word = word.to_owned();
        // Longer names first: `$LEADER_ID` before `$LEADER`.
        for (name, value) in self.variables.iter().rev() {
            word = word.replace(&format!("${name}"), value);
        }
        assert!(!word.contains('$'), "unknown variable in {word}");
        word
    }
}

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.into_iter().map(|line| format!("{line}\n")).collect()
}
