//! Answers the tools of running hooks.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use crate::error::{At, Result};
use crate::journal::FaultKind;
use crate::state::{State, app_of};
use crate::tools;
use crate::wire::{Answer, Request};

/// Stand-ins of system tools announce themselves with this before their name; only counted.
pub(crate) const SYSTEM_TOOL: &str = "system:";

/// Listens for tools until the model is closed.
pub(crate) fn listen(socket: &Path, state: Arc<Mutex<State>>) -> Result<()> {
    let listener = UnixListener::bind(socket).at(socket.display())?;
    std::thread::Builder::new()
        .name("model-tools".into())
        .spawn(move || {
            for stream in listener.incoming() {
                if lock(&state).is_closed {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let state = Arc::clone(&state);
                let _ = std::thread::Builder::new()
                    .name("model-tool".into())
                    .spawn(move || serve(&stream, &state));
            }
        })
        .at("thread model-tools")?;
    Ok(())
}

/// Ends the model's processes: running hooks, machines, the listener.
pub(crate) fn close(socket: &Path, state: &Mutex<State>) {
    {
        let mut state = lock(state);
        state.is_closed = true;
        state.contexts.values().filter_map(|context| context.pid).for_each(kill);
        state.machines.clear();
    }
    // Wakes the listener, which then sees that it is over.
    let _ = UnixStream::connect(socket);
}

/// Kills what runs on a machine that loses power.
pub(crate) fn kill_hooks(state: &mut State, machine: u32) {
    let State { units, contexts, .. } = state;
    let is_there = |unit: &String| units.get(unit).is_some_and(|unit| unit.machine == machine);
    for context in contexts.values_mut().filter(|context| is_there(&context.unit)) {
        context.killed = Some("the machine lost power".into());
        context.pid.into_iter().for_each(kill);
    }
}

fn serve(stream: &UnixStream, state: &Mutex<State>) {
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).is_err() {
        return;
    }
    let Ok(request) = serde_json::from_str::<Request>(&line) else { return };
    let Some(answer) = answer(&mut lock(state), &request) else { return };
    let mut writer = stream;
    // A tool that was killed meanwhile needs no answer.
    let _ = serde_json::to_string(&answer).map(|line| writeln!(writer, "{line}"));
}

/// The state, also after a panic of another thread: each change of it is whole.
pub(crate) fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// None when the hook is killed instead.
fn answer(state: &mut State, request: &Request) -> Option<Answer> {
    let Some(mut context) = state.contexts.remove(&request.context) else {
        return Some(failure(&format!("bad request: bad context: {}", request.context)));
    };
    // A killed hook gets no answer any more, nor does one whose machine is off.
    if context.killed.is_some() || strike(state, &mut context) {
        state.contexts.insert(request.context.clone(), context);
        return None;
    }
    let answer = if request.tool.starts_with(SYSTEM_TOOL) {
        Answer::default()
    } else if !state.juju.tools().contains(&request.tool.as_str()) {
        failure("bad request: unknown command")
    } else {
        tools::run(state, &mut context, request)
    };
    if !answer.wants_stdin {
        context.tool_calls += 1;
    }
    state.contexts.insert(request.context.clone(), context);
    Some(answer)
}

/// Lets due faults happen. True when the hook is dead.
fn strike(state: &mut State, context: &mut crate::context::Context) -> bool {
    let is_due = |fault: &crate::journal::Fault| {
        fault.unit == context.unit
            && fault.hook.as_ref().is_none_or(|hook| *hook == context.call.hook)
            && fault.after_tool_calls == context.tool_calls
    };
    let (due, rest): (Vec<_>, Vec<_>) =
        std::mem::take(&mut state.faults).into_iter().partition(is_due);
    state.faults = rest;
    for fault in &due {
        match &fault.what {
            FaultKind::MoveLeader(to) => move_leader(state, to),
            FaultKind::KillHook => context.killed = Some("killed by a fault".into()),
            FaultKind::KillMachine => {
                context.killed = Some("the machine lost power".into());
                let machine = state.units.get(&context.unit).map(|unit| unit.machine);
                if let Some(machine) = machine.and_then(|id| state.machines.get_mut(&id)) {
                    machine.power_off();
                }
            }
        }
    }
    if let (Some(_), Some(pid)) = (&context.killed, context.pid) {
        kill(pid);
    }
    context.killed.is_some()
}

/// Gives the lease to another unit; the units hear of it in their own time.
pub(crate) fn move_leader(state: &mut State, to: &str) {
    let Some(app) = state.apps.get_mut(app_of(to)) else { return };
    let from = app.leader.replace(to.into());
    if from.as_deref() == Some(to) {
        return;
    }
    // A unit that loses the lease and gets it again is elected again.
    if let Some(unit) = from.and_then(|from| state.units.get_mut(&from)) {
        unit.is_leader_seen = None;
    }
}

/// SIGKILL to one process, which has to be a child not yet waited for.
pub(crate) fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
        // It may have ended by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    }
}

fn failure(text: &str) -> Answer {
    Answer { code: 1, stderr: format!("ERROR {text}\n"), ..Answer::default() }
}
