//! Runs one hook or action as the unit agent does: environment built from nothing, one process.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::context::{ActionRun, Context, flush};
use crate::journal::{End, Entry};
use crate::server::lock;
use crate::state::{State, app_of, dashed};
use crate::uniter::{Call, Kind, complete};

/// What the agent's own PATH holds.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// How often a running hook is looked at.
const POLL: Duration = Duration::from_millis(2);
/// Another thread's fork can hold a just written file open for a moment (ETXTBSY).
const BUSY_TRIES_MAX: u32 = 50;
/// Name of the model.
pub(crate) const MODEL_NAME: &str = "stand-in";

/// Places and limits of the runs.
#[derive(Debug)]
pub(crate) struct Runner {
    pub dir: PathBuf,
    pub hook_limit: Duration,
}

/// Context id, version of the bag it is about, and the command when there is such a file.
type Begun = (String, u64, Option<std::io::Result<Command>>);

/// What came of a run.
pub(crate) struct Ran {
    pub entry: Entry,
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    pub action: Option<ActionRun>,
}

impl Runner {
    /// Where the agent has unpacked a unit's charm.
    pub(crate) fn charm_dir(root: &Path, unit: &str) -> PathBuf {
        root.join("var/lib/juju/agents").join(format!("unit-{}", dashed(unit))).join("charm")
    }

    /// Runs a hook to its end and remembers what came of it.
    pub(crate) fn run(
        &self,
        state: &Mutex<State>,
        unit: &str,
        call: &Call,
        action: Option<ActionRun>,
    ) -> Ran {
        let is_action = action.is_some();
        let (id, seen, command) = self.begin(state, unit, call, action);
        let output = self.dir.join("out").join(id.replace(['/', '.'], "-"));
        let ended = command.map(|command| self.process(state, &id, command?, &output));
        let mut guard = lock(state);
        let state = &mut *guard;
        let mut context =
            state.contexts.remove(&id).unwrap_or_else(|| Context::new(unit, call.clone(), None));
        let (stdout, stderr) = (read(&output, "out"), read(&output, "err"));
        let (code, end) = verdict(ended, context.killed.as_deref());
        let mut entry = entry(unit, call, &context, end);
        if let Kind::Departed(_, other) = &call.kind {
            entry.departing = departing(state, unit, other);
        }
        entry.output = format!("{stdout}{stderr}");
        let must_reboot = context.must_reboot;
        let action = context.action.take();
        if matches!(entry.end, End::Done)
            && let Err(why) = flush(state, context)
        {
            entry.end = End::Refused(why);
        }
        state.faults.retain(|fault| {
            fault.unit != unit || fault.hook.as_ref().is_some_and(|hook| *hook != call.hook)
        });
        if !is_action {
            settle(state, unit, call, seen, &entry.end);
        }
        if must_reboot && let Err(error) = reboot(state, unit) {
            state.note(format!("{unit}: reboot: {error}"));
        }
        let line = entry.to_string();
        state.note(line);
        for text in entry.output.lines() {
            state.log.push(format!("{unit} {}: {text}", call.hook));
        }
        state.journal.push(entry.clone());
        Ran { entry, stdout, stderr, code, action }
    }

    /// Opens the context. No command when the charm has no such file.
    fn begin(
        &self,
        state: &Mutex<State>,
        unit: &str,
        call: &Call,
        action: Option<ActionRun>,
    ) -> Begun {
        let mut state = lock(state);
        state.counters.context += 1;
        let id = format!("{unit}-{}-{}", call.hook, state.counters.context);
        let seen = seen_version(&state, call);
        let root = state.machine_of(unit).map(|machine| machine.root.clone()).unwrap_or_default();
        let charm = Self::charm_dir(&root, unit);
        if (!charm.exists() || call.kind == Kind::Upgrade)
            && let Err(error) = install_charm(&mut state, unit, &charm)
        {
            state.contexts.insert(id.clone(), Context::new(unit, call.clone(), action));
            return (
                id,
                seen,
                Some(Err(std::io::Error::other(format!("cannot install charm: {error}")))),
            );
        }
        let folder = if action.is_some() { "actions" } else { "hooks" };
        let file = charm.join(folder).join(&call.hook);
        let dispatch = charm.join("dispatch");
        let program = if dispatch.exists() { dispatch } else { file };
        let command = program.exists().then(|| {
            let mut command = Command::new(&program);
            command.env_clear().current_dir(&charm).stdin(Stdio::null());
            self.environment(&state, unit, call, action.as_ref(), &id, &mut command);
            command
        });
        state.contexts.insert(id.clone(), Context::new(unit, call.clone(), action));
        (id, seen, command.map(Ok))
    }

    fn environment(
        &self,
        state: &State,
        unit: &str,
        call: &Call,
        action: Option<&ActionRun>,
        id: &str,
        command: &mut Command,
    ) {
        let Some(machine) = state.machine_of(unit) else { return };
        let charm = Self::charm_dir(&machine.root, unit);
        let tools = self.dir.join("tools").join(dashed(unit));
        let folder = if action.is_some() { "actions" } else { "hooks" };
        let number = state.units.get(unit).map_or(0, |unit| unit.machine);
        command
            .env("JUJU_CHARM_DIR", &charm)
            .env("CHARM_DIR", &charm)
            .env("JUJU_CONTEXT_ID", id)
            .env("JUJU_AGENT_SOCKET_ADDRESS", self.dir.join("agent.sock"))
            .env("JUJU_AGENT_SOCKET_NETWORK", "unix")
            .env("JUJU_HOOK_NAME", if action.is_some() { "" } else { &call.hook })
            .env("JUJU_DISPATCH_PATH", format!("{folder}/{}", call.hook))
            .env("JUJU_UNIT_NAME", unit)
            .env("JUJU_MODEL_NAME", MODEL_NAME)
            .env("JUJU_MODEL_UUID", &state.model_uuid)
            .env("JUJU_API_ADDRESSES", "127.0.0.1:17070")
            .env("JUJU_MACHINE_ID", number.to_string())
            .env("JUJU_PRINCIPAL_UNIT", "")
            .env("JUJU_AVAILABILITY_ZONE", "")
            .env("JUJU_VERSION", state.juju.to_string())
            .env("CLOUD_API_VERSION", "")
            .env(
                "PATH",
                format!("{}:{}:{SYSTEM_PATH}", tools.display(), self.dir.join("bin").display()),
            )
            .env("APT_LISTCHANGES_FRONTEND", "none")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("LANG", "C.UTF-8")
            .env("TERM", "tmux-256color")
            .env("QUORATE_CHARM_ROOT", &machine.root);
        for name in ["HTTP", "HTTPS", "FTP", "NO"] {
            let key = format!("JUJU_CHARM_{name}_PROXY");
            command.env(&key, state.proxies.get(&key).map_or("", String::as_str));
        }
        relation_environment(state, unit, &call.kind, command);
        if let Some(storage) = call.kind.storage() {
            let location = state
                .storages
                .get(storage)
                .map(|storage| storage.location.clone())
                .unwrap_or_default();
            command
                .env("JUJU_STORAGE_ID", storage)
                .env("JUJU_STORAGE_LOCATION", location)
                .env("JUJU_STORAGE_KIND", "filesystem");
        }
        if let Kind::SecretChanged(id) = &call.kind {
            let label = state
                .units
                .get(unit)
                .and_then(|unit| unit.labels.iter().find(|(_, secret)| *secret == id));
            command
                .env("JUJU_SECRET_ID", format!("secret:{id}"))
                .env("JUJU_SECRET_LABEL", label.map_or("", |(label, _)| label));
        }
        if let Some(action) = action {
            command
                .env("JUJU_ACTION_NAME", &call.hook)
                .env("JUJU_ACTION_UUID", action.id.to_string())
                .env("JUJU_ACTION_TAG", format!("action-{}", action.id));
        }
    }

    fn process(
        &self,
        state: &Mutex<State>,
        id: &str,
        mut command: Command,
        output: &Path,
    ) -> std::io::Result<ExitStatus> {
        command
            .stdout(File::create(output.with_extension("out"))?)
            .stderr(File::create(output.with_extension("err"))?);
        // The context learns the pid before any tool of it can be answered.
        let mut child = {
            let mut state = lock(state);
            let child = spawn(&mut command)?;
            if let Some(context) = state.contexts.get_mut(id) {
                context.pid = Some(child.id());
            }
            child
        };
        let until = Instant::now() + self.hook_limit;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > until {
                if let Some(context) = lock(state).contexts.get_mut(id) {
                    context.killed = Some(format!(
                        "killed: it ran for more than {} s",
                        self.hook_limit.as_secs()
                    ));
                }
                child.kill()?;
            }
            std::thread::sleep(POLL);
        }
    }
}

/// Unpacks the application's charm for a unit.
fn install_charm(state: &mut State, unit: &str, charm: &Path) -> crate::error::Result<()> {
    let app = state.app(app_of(unit))?;
    let revision = app.charm_revision;
    if let Some(source) = app.charm.as_ref().map(|charm| charm.dir.clone()) {
        crate::unpack::deploy(&source, charm)?;
    }
    state.unit_mut(unit)?.charm_revision = revision;
    Ok(())
}

fn spawn(command: &mut Command) -> std::io::Result<Child> {
    for _ in 0..BUSY_TRIES_MAX {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => std::thread::sleep(POLL),
            other => return other,
        }
    }
    command.spawn()
}

fn relation_environment(state: &State, unit: &str, kind: &Kind, command: &mut Command) {
    let Some((id, relation)) = kind.relation().and_then(|id| Some((id, state.relations.get(&id)?)))
    else {
        return;
    };
    let app = app_of(unit);
    let endpoint = relation.end(app).map_or("", |end| end.endpoint.as_str());
    command
        .env("JUJU_RELATION", endpoint)
        .env("JUJU_RELATION_ID", format!("{endpoint}:{id}"))
        .env("JUJU_REMOTE_APP", relation.remote_app(app))
        .env("JUJU_REMOTE_UNIT", kind.remote_unit().unwrap_or_default());
    if let Kind::Departed(_, other) = kind {
        command.env("JUJU_DEPARTING_UNIT", departing(state, unit, other));
    }
}

/// A leaver sees itself depart; the others see the one that left.
fn departing(state: &State, unit: &str, other: &str) -> String {
    let is_leaving =
        state.units.get(unit).is_some_and(|unit| unit.life == crate::state::Life::Dying);
    if is_leaving { unit.into() } else { other.into() }
}

fn seen_version(state: &State, call: &Call) -> u64 {
    let Some(relation) = call.kind.relation().and_then(|id| state.relations.get(&id)) else {
        return 0;
    };
    match &call.kind {
        Kind::AppChanged(_, app) => relation.version_of(app),
        kind => kind.remote_unit().map_or(0, |unit| relation.version_of(unit)),
    }
}

fn verdict(ended: Option<std::io::Result<ExitStatus>>, killed: Option<&str>) -> (Option<i32>, End) {
    let status = match ended {
        None => return (None, End::Missing),
        Some(Err(error)) => return (None, End::Failed(format!("cannot run: {error}"))),
        Some(Ok(status)) => status,
    };
    let end = match (killed, status.code(), status.signal()) {
        (Some(why), _, _) => End::Failed(why.into()),
        (None, Some(0), _) => End::Done,
        (None, Some(code), _) => End::Failed(format!("exit code {code}")),
        (None, None, signal) => End::Failed(format!("signal {}", signal.unwrap_or(0))),
    };
    (status.code(), end)
}

fn entry(unit: &str, call: &Call, context: &Context, end: End) -> Entry {
    let about = match &call.kind {
        Kind::AppChanged(_, app) => app.clone(),
        kind => kind.remote_unit().or(kind.storage()).unwrap_or_default().into(),
    };
    let hook = if matches!(call.kind, Kind::Action(_)) {
        format!("action:{}", call.hook)
    } else {
        call.hook.clone()
    };
    Entry {
        unit: unit.into(),
        hook,
        about,
        departing: String::new(),
        end,
        tool_calls: context.tool_calls,
        output: String::new(),
    }
}

/// Success goes on, failure is kept for a retry.
fn settle(state: &mut State, name: &str, call: &Call, seen: u64, end: &End) {
    match end {
        End::Done | End::Missing => {
            if let Some(unit) = state.units.get_mut(name) {
                unit.error = None;
            }
            complete(state, name, call, seen);
        }
        End::Failed(_) | End::Refused(_) => {
            if let Some(unit) = state.units.get_mut(name) {
                let tries = unit.error.as_ref().map_or(0, |failure| failure.tries) + 1;
                unit.error = Some(crate::state::Failure { call: call.clone(), tries });
            }
        }
    }
}

/// Power off and on; a started unit gets its start hook (juju-surface 4.2).
pub(crate) fn reboot(state: &mut State, unit: &str) -> crate::error::Result<()> {
    let number = state.unit(unit)?.machine;
    if let Some(machine) = state.machines.get_mut(&number) {
        machine.power_off();
        machine.power_on()?;
    }
    for unit in state.units.values_mut().filter(|unit| unit.machine == number && unit.is_started) {
        unit.must_start = true;
    }
    Ok(())
}

fn read(output: &Path, suffix: &str) -> String {
    let path = output.with_extension(suffix);
    let text = std::fs::read(&path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let _ = std::fs::remove_file(path);
    text
}
