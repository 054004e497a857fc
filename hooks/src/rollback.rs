//! Going back to the previous release because a person says so.

use release::Releases;

use crate::agent::{Agent, State};
use crate::error::Error;
use crate::notes::Notebook;
use crate::restart::{self, Turn};
use crate::run::Unit;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RolledBack {
    /// The member is ready with the previous release.
    Done {
        /// Id of the release left behind.
        from: String,
        /// Id of the release that runs.
        to: String,
    },
    /// Nothing has changed; the line says why and what to do.
    Refused(String),
}

/// Runs the previous release, and the current one again when that does not become ready. The one
/// left behind is not taken again until the options ask for another.
///
/// # Errors
///
/// Surprises.
pub fn roll_back_release(unit: &Unit) -> Result<RolledBack, Error> {
    let releases = Releases::new(unit.paths.software());
    let (Some(current), Some(previous)) = (releases.current()?, releases.previous()?) else {
        return Ok(refused("there is no previous release on this unit: nothing to go back to"));
    };
    let notebook = Notebook::new(&unit.paths.notes());
    let mut notes = notebook.read()?;
    if notes.leaving.is_some() {
        return Ok(refused("this unit has left the cluster: its service stays down"));
    }
    let agent = Agent::new(&unit.paths);
    let status = agent.status()?;
    let is_alone = status
        .as_ref()
        .is_none_or(|status| status.state != State::Member || status.members.len() <= 1);
    let turn = if is_alone { Turn::NotNeeded } else { restart::take_turn(&agent, &unit.limits)? };
    if let Some(obstacle) = turn.obstacle() {
        let line = format!("cannot restart now, {obstacle}; run this again afterwards");
        return Ok(RolledBack::Refused(line));
    }
    let service = &unit.service;
    let run = |to: &release::Release| -> Result<bool, Error> {
        service.stop()?;
        releases.switch(&to.id)?;
        service.start()?;
        let status = restart::wait_ready(&agent, service, unit.limits.ready_max, unit.limits.poll)?;
        Ok(restart::is_ready(status.as_ref()))
    };
    let (from, to) = (current.id.to_string(), previous.id.to_string());
    let is_ready = run(&previous)?;
    if is_ready {
        notes.held_back = Some(from.clone());
        notes.is_proven = true;
        if let Some(running) = &mut notes.running {
            running.release.clone_from(&to);
        }
        notebook.write(&notes)?;
    } else {
        run(&current)?;
    }
    if turn == Turn::Held {
        restart::release_turn(&agent);
    }
    Ok(match is_ready {
        true => RolledBack::Done { from, to },
        false => RolledBack::Refused(format!(
            "release {to} did not become ready, {from} runs again: see journalctl -u {}",
            unit.paths.service()
        )),
    })
}

fn refused(line: &str) -> RolledBack {
    RolledBack::Refused(line.to_owned())
}
