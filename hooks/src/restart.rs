//! Stopping and starting the member: when it is its turn, and not without looking what comes of it.

use std::time::Duration;

use crate::agent::{Agent, AgentError, AgentStatus, State};
use crate::clock::wait_for;
use crate::command::CommandError;
use crate::limits::{Limits, TURN_TTL};
use crate::service::Service;

/// The turn that members take to restart.
const TURN: &str = "restart";

/// Whether this member may restart now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It holds the turn.
    Held,
    /// There is no majority to give turns, so nobody is served that a restart could disturb.
    NotNeeded,
    /// Another member is restarting.
    Taken,
}

/// Waits for the turn to restart.
///
/// # Errors
///
/// When the agent cannot be asked at all.
pub fn take_turn(agent: &Agent, limits: &Limits) -> Result<Turn, AgentError> {
    let mut last = Turn::NotNeeded;
    let deadline = std::time::Instant::now() + limits.no_quorum_max;
    let held = wait_for(limits.turn_max, limits.poll, || match agent.take_turn(TURN, TURN_TTL) {
        Ok(()) => Some(Ok(Turn::Held)),
        Err(error) if error.code() == "taken" => {
            last = Turn::Taken;
            None
        }
        Err(AgentError::Command(error @ CommandError::NotRun { .. })) => Some(Err(error.into())),
        Err(_) => {
            let is_over = std::time::Instant::now() >= deadline;
            (is_over && last == Turn::NotNeeded).then_some(Ok(Turn::NotNeeded))
        }
    });
    held.unwrap_or(Ok(last))
}

/// Gives the turn back. One that cannot be given back ends by itself.
pub fn release_turn(agent: &Agent) {
    drop(agent.release_turn(TURN));
}

/// Stops the service, waits until it is gone, and starts it. Two steps instead of one: what answers
/// afterwards is the new process.
///
/// # Errors
///
/// As the service manager says.
pub fn restart(service: &Service) -> Result<(), CommandError> {
    service.stop()?;
    service.start()
}

/// Waits until the member is ready; what it said last otherwise.
///
/// # Errors
///
/// When the agent cannot be asked at all.
pub fn wait_ready(
    agent: &Agent,
    time_max: Duration,
    poll: Duration,
) -> Result<Option<AgentStatus>, AgentError> {
    let mut last = Ok(None);
    wait_for(time_max, poll, || {
        last = agent.status();
        match &last {
            Ok(Some(status)) if is_ready(Some(status)) || status.state == State::Left => Some(()),
            Err(_) => Some(()),
            _ => None,
        }
    });
    last
}

/// True for a member that has what [`wait_ready`] waits for.
pub fn is_ready(status: Option<&AgentStatus>) -> bool {
    status.is_some_and(|status| status.state == State::Member && status.is_ready)
}
