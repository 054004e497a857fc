//! One service: its processes and its way through systemd's states.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::environment::{Variables, at_home, command, variables};
use super::unit_file::UnitFile;

/// Waits between restarts and the window of the start limit are this many times shorter.
const TIME_SCALE: u32 = 10;
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(90);
const DEFAULT_RESTART: Duration = Duration::from_millis(100);
const DEFAULT_LIMIT_INTERVAL: Duration = Duration::from_secs(10);
const DEFAULT_LIMIT_BURST: usize = 5;

/// Where a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Inactive,
    StartPre,
    Start,
    Active,
    Stopping,
    AutoRestart,
    Failed,
}

impl Phase {
    /// ActiveState and SubState as `systemctl show` prints them.
    pub(crate) fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Inactive => ("inactive", "dead"),
            Self::StartPre => ("activating", "start-pre"),
            Self::Start => ("activating", "start"),
            Self::Active => ("active", "running"),
            Self::Stopping => ("deactivating", "stop-sigterm"),
            Self::AutoRestart => ("activating", "auto-restart"),
            Self::Failed => ("failed", "failed"),
        }
    }
}

/// One service of a machine.
#[derive(Debug)]
pub(crate) struct Service {
    pub name: String,
    pub unit: UnitFile,
    pub phase: Phase,
    pub result: String,
    pub restarts: u32,
    pub status_text: String,
    root: PathBuf,
    child: Option<Child>,
    notify: Option<UnixDatagram>,
    pre: Vec<String>,
    may_fail: bool,
    deadline: Option<Instant>,
    restart_at: Option<Instant>,
    starts: Vec<Instant>,
    wants_start: bool,
}

impl Service {
    pub(crate) fn new(name: &str, root: &Path, unit: UnitFile) -> Self {
        Self {
            name: name.into(),
            unit,
            phase: Phase::Inactive,
            result: "success".into(),
            restarts: 0,
            status_text: String::new(),
            root: root.into(),
            child: None,
            notify: None,
            pre: Vec::new(),
            may_fail: false,
            deadline: None,
            restart_at: None,
            starts: Vec::new(),
            wants_start: false,
        }
    }

    pub(crate) fn main_pid(&self) -> u32 {
        let is_main = matches!(self.phase, Phase::Start | Phase::Active | Phase::Stopping);
        self.child.as_ref().filter(|_| is_main).map_or(0, Child::id)
    }

    /// Whether a start or stop is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::StartPre | Phase::Start | Phase::Stopping) || self.wants_start
    }

    /// Begins a start; nothing when it runs.
    pub(crate) fn start(&mut self, address: &str) {
        match self.phase {
            Phase::Inactive | Phase::Failed | Phase::AutoRestart => self.begin(address),
            Phase::Stopping => self.wants_start = true,
            Phase::StartPre | Phase::Start | Phase::Active => {}
        }
    }

    /// Begins a stop; nothing when it does not run.
    pub(crate) fn stop(&mut self) {
        self.wants_start = false;
        self.restart_at = None;
        match self.phase {
            Phase::StartPre | Phase::Start | Phase::Active => self.terminate("success"),
            Phase::AutoRestart => self.phase = Phase::Inactive,
            Phase::Inactive | Phase::Failed | Phase::Stopping => {}
        }
    }

    pub(crate) fn restart(&mut self, address: &str) {
        self.stop();
        self.start(address);
    }

    /// Forgets the failure and the count of starts.
    pub(crate) fn reset_failed(&mut self) {
        self.starts.clear();
        if self.phase == Phase::Failed {
            (self.phase, self.result) = (Phase::Inactive, "success".into());
        }
    }

    /// ExecReload=, or an error text.
    pub(crate) fn reload(&self, address: &str) -> Result<(), String> {
        if self.phase != Phase::Active {
            return Err("is not active, cannot reload".into());
        }
        let mut all = variables(&self.unit)?;
        all.insert("MAINPID".into(), self.main_pid().to_string());
        let lines = self.unit.all("Service", "ExecReload");
        if lines.is_empty() {
            return Err("Job type reload is not applicable for this unit".into());
        }
        for line in lines {
            let status =
                self.prepare(line, &all, address)?.0.status().map_err(|error| error.to_string())?;
            if !status.success() {
                return Err(format!("reload failed: {status}"));
            }
        }
        Ok(())
    }

    fn begin(&mut self, address: &str) {
        let now = Instant::now();
        let interval = self.limit_time() / TIME_SCALE;
        self.starts.retain(|start| now.duration_since(*start) < interval);
        let burst = self
            .unit
            .all("Unit", "StartLimitBurst")
            .last()
            .and_then(|text| text.parse().ok())
            .unwrap_or(DEFAULT_LIMIT_BURST);
        if !interval.is_zero() && self.starts.len() >= burst {
            return self.fail("start-limit-hit");
        }
        self.starts.push(now);
        (self.restart_at, self.wants_start, self.result) = (None, false, "success".into());
        self.deadline = Some(
            now + self.unit.time("TimeoutStartSec", self.unit.time("TimeoutSec", DEFAULT_TIMEOUT)),
        );
        self.pre = self
            .unit
            .all("Service", "ExecStartPre")
            .iter()
            .rev()
            .map(|line| (*line).to_owned())
            .collect();
        self.phase = Phase::StartPre;
        self.directories();
        self.next_process(address);
    }

    fn limit_time(&self) -> Duration {
        let text = self.unit.all("Unit", "StartLimitIntervalSec").last().copied();
        text.and_then(super::unit_file::parse_time).unwrap_or(DEFAULT_LIMIT_INTERVAL)
    }

    fn directories(&self) {
        for (key, below, default) in
            [("RuntimeDirectory", "run", 0o755), ("StateDirectory", "var/lib", 0o755)]
        {
            let mode = self
                .unit
                .last(&format!("{key}Mode"))
                .and_then(|text| u32::from_str_radix(text, 8).ok())
                .unwrap_or(default);
            for name in self.unit.last(key).unwrap_or_default().split_whitespace() {
                let dir = self.root.join(below).join(name);
                // A directory that cannot be made shows in the service's own error.
                let _ = std::fs::create_dir_all(&dir);
                let _ = std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode));
            }
        }
    }

    /// The next ExecStartPre=, or the main process.
    fn next_process(&mut self, address: &str) {
        let line = self.pre.pop();
        let is_main = line.is_none();
        let Some(line) = line.or_else(|| self.unit.last("ExecStart").map(str::to_owned)) else {
            return self.fail("resources");
        };
        let spawned = variables(&self.unit).and_then(|mut all| {
            if is_main && self.is_notify() {
                let (socket, path) = self.notify_socket()?;
                all.insert("NOTIFY_SOCKET".into(), path.display().to_string());
                self.notify = Some(socket);
            }
            if let Some(dir) = self.unit.last("RuntimeDirectory") {
                all.insert(
                    "RUNTIME_DIRECTORY".into(),
                    self.root.join("run").join(dir).display().to_string(),
                );
            }
            let (mut command, may_fail) = self.prepare(&line, &all, address)?;
            self.may_fail = may_fail;
            command.spawn().map_err(|error| format!("{line}: {error}"))
        });
        match spawned {
            Ok(child) => {
                self.child = Some(child);
                if is_main {
                    self.phase = if self.is_notify() { Phase::Start } else { Phase::Active };
                }
            }
            Err(error) => {
                eprintln!("{}: {error}", self.name);
                self.fail("exit-code");
                self.plan_restart();
            }
        }
    }

    fn is_notify(&self) -> bool {
        self.unit.last("Type").is_some_and(|kind| kind.starts_with("notify"))
    }

    fn notify_socket(&self) -> Result<(UnixDatagram, PathBuf), String> {
        let path = self.root.join("run").join(format!("{}.ready", self.name));
        let _ = std::fs::remove_file(&path);
        let socket =
            UnixDatagram::bind(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        socket.set_nonblocking(true).map_err(|error| error.to_string())?;
        Ok((socket, path))
    }

    fn prepare(
        &self,
        line: &str,
        variables: &Variables,
        address: &str,
    ) -> Result<(Command, bool), String> {
        let (words, may_fail) = command(line, &self.name, variables)?;
        let log = self.root.join("var").join(format!("{}.log", self.name));
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = log.try_clone().map_err(|error| error.to_string())?;
        let mut command = Command::new(&words[0]);
        command
            .args(words[1..].iter().map(|word| at_home(word, address)))
            .env_clear()
            .envs(variables.iter().map(|(key, value)| (key, at_home(value, address))))
            .current_dir(self.unit.last("WorkingDirectory").map_or(&*self.root, Path::new))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .process_group(0);
        Ok((command, may_fail))
    }

    /// Looks after the service once.
    pub(crate) fn tick(&mut self, address: &str) {
        self.hear();
        let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
        if let Some(status) = ended {
            self.ended(status, address);
        }
        let now = Instant::now();
        if self.deadline.is_some_and(|deadline| now > deadline) {
            self.overdue();
        }
        if self.phase == Phase::AutoRestart && self.restart_at.is_some_and(|at| now > at) {
            self.restarts += 1;
            self.begin(address);
        }
    }

    /// sd_notify(3) messages.
    fn hear(&mut self) {
        let mut buffer = [0; 4096];
        while let Some(Ok(count)) = self.notify.as_ref().map(|socket| socket.recv(&mut buffer)) {
            let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
            for line in text.lines() {
                match line.split_once('=') {
                    Some(("READY", "1")) if self.phase == Phase::Start => {
                        (self.phase, self.deadline) = (Phase::Active, None)
                    }
                    Some(("STATUS", status)) => self.status_text = status.into(),
                    Some(("EXTEND_TIMEOUT_USEC", time)) if self.deadline.is_some() => {
                        let time = time.parse().map(Duration::from_micros).unwrap_or_default();
                        self.deadline = self.deadline.max(Some(Instant::now() + time));
                    }
                    _ => {}
                }
            }
        }
    }

    fn ended(&mut self, status: ExitStatus, address: &str) {
        let group = self.child.take().map(|child| child.id());
        let is_good = status.success() || self.may_fail && self.phase == Phase::StartPre;
        match self.phase {
            Phase::StartPre if is_good => self.next_process(address),
            Phase::Stopping => {
                kill_group(group);
                self.cleaned();
                self.phase = if self.result == "success" { Phase::Inactive } else { Phase::Failed };
                if self.wants_start {
                    self.begin(address);
                } else if self.result != "success" {
                    self.plan_restart();
                }
            }
            _ => {
                kill_group(group);
                eprintln!("{}: main process ended: {status}", self.name);
                let is_early = self.phase == Phase::Start;
                let result = if status.success() && !is_early {
                    "success"
                } else if status.code().is_some() {
                    "exit-code"
                } else {
                    "signal"
                };
                self.cleaned();
                self.result = result.into();
                self.phase = if result == "success" { Phase::Inactive } else { Phase::Failed };
                self.plan_restart();
            }
        }
    }

    /// Restart= after an end nobody asked for.
    fn plan_restart(&mut self) {
        let is_clean = self.result == "success";
        let restarts = match self.unit.last("Restart") {
            Some("always") => true,
            Some("on-failure" | "on-abnormal") => !is_clean,
            Some("on-success") => is_clean,
            _ => false,
        };
        if restarts && self.result != "start-limit-hit" {
            self.phase = Phase::AutoRestart;
            self.restart_at =
                Some(Instant::now() + self.unit.time("RestartSec", DEFAULT_RESTART) / TIME_SCALE);
        }
    }

    fn overdue(&mut self) {
        if self.phase == Phase::Stopping {
            self.signal(Signal::KILL);
            self.deadline = None;
        } else {
            eprintln!("{}: start operation timed out", self.name);
            self.terminate("timeout");
        }
    }

    fn terminate(&mut self, result: &str) {
        self.result = result.into();
        self.phase = Phase::Stopping;
        self.deadline = Some(
            Instant::now()
                + self.unit.time("TimeoutStopSec", self.unit.time("TimeoutSec", DEFAULT_TIMEOUT)),
        );
        let signal = match self.unit.last("KillSignal") {
            Some("SIGINT") => Signal::INT,
            Some("SIGKILL") => Signal::KILL,
            Some("SIGQUIT") => Signal::QUIT,
            _ => Signal::TERM,
        };
        self.signal(signal);
    }

    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child.as_ref().and_then(|child| pid(child.id())) {
            // It may have ended just now.
            let _ = kill_process(pid, signal);
        }
    }

    fn fail(&mut self, result: &str) {
        self.cleaned();
        (self.phase, self.result, self.wants_start) = (Phase::Failed, result.into(), false);
    }

    fn cleaned(&mut self) {
        (self.notify, self.deadline) = (None, None);
        if self.unit.last("RuntimeDirectoryPreserve").is_none_or(|preserve| preserve == "no") {
            for name in self.unit.last("RuntimeDirectory").unwrap_or_default().split_whitespace() {
                let _ = std::fs::remove_dir_all(self.root.join("run").join(name));
            }
        }
    }

    /// Power off: SIGKILL to all it runs.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            kill_group(Some(child.id()));
            let _ = child.wait();
        }
    }
}

fn pid(number: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(number).ok()?)
}

/// What the main process has left behind in its group.
fn kill_group(group: Option<u32>) {
    if let Some(pid) = group.and_then(pid) {
        // The group may be empty.
        let _ = kill_process_group(pid, Signal::KILL);
    }
}
