//! Stopping and starting the member: when it is its turn, and not without looking what comes of it.

use std::time::Duration;

use crate::agent::{Agent, AgentError, AgentStatus, State};
use crate::clock::wait_for;
use crate::command::CommandError;
use crate::limits::{Limits, TURN_TTL};
use crate::service::Service;

/// The turn that members take to restart.
const TURN: &str = "restart";

/// Restarts by the service manager after which a member is not waited for any longer. The pause
/// between two of them (`RestartSec`) makes this more than ten seconds: longer than a port or a lock
/// of the process before stays held.
const RESTARTS_MAX: u64 = 10;

/// Whether this member may restart now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It holds the turn.
    Held,
    /// There is no majority to give turns, so nobody is served that a restart could disturb.
    NotNeeded,
    /// Another member is restarting.
    Taken,
    /// There is a majority, and an alarm keeps it from giving turns: writes are refused.
    Alarm,
}

impl Turn {
    /// What keeps this member from restarting now.
    pub fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Held | Self::NotNeeded => None,
            Self::Taken => Some("another member is restarting"),
            Self::Alarm => Some("an alarm is on: run action alarm-list"),
        }
    }
}

/// Waits for the turn to restart.
///
/// # Errors
///
/// When the agent cannot be asked at all.
pub fn take_turn(agent: &Agent, limits: &Limits) -> Result<Turn, AgentError> {
    let mut last = Turn::NotNeeded;
    let deadline = std::time::Instant::now() + limits.no_quorum_max;
    let is_over = || std::time::Instant::now() >= deadline;
    let held = wait_for(limits.turn_max, limits.poll, || match agent.take_turn(TURN, TURN_TTL) {
        Ok(()) => Some(Ok(Turn::Held)),
        Err(error) if error.code() == "taken" => {
            last = Turn::Taken;
            None
        }
        // More room may be what the restart is for. An alarm that is taken back lets no client's
        // write through: one that has no room raises it again. A busy client can be faster.
        Err(error) if error.code() == "no-space" => {
            last = Turn::Alarm;
            let is_held = agent.disarm().and_then(|_| agent.take_turn(TURN, TURN_TTL)).is_ok();
            is_held.then_some(Ok(Turn::Held)).or_else(|| is_over().then_some(Ok(Turn::Alarm)))
        }
        Err(error) if error.code() == "corrupt" => Some(Ok(Turn::Alarm)),
        Err(AgentError::Command(error @ CommandError::NotRun { .. })) => Some(Err(error.into())),
        Err(_) => (is_over() && last == Turn::NotNeeded).then_some(Ok(Turn::NotNeeded)),
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

/// Waits until the member is ready; what it said last otherwise. Does not wait for a service whose
/// process ends again and again.
///
/// # Errors
///
/// When the agent cannot be asked at all.
pub fn wait_ready(
    agent: &Agent,
    service: &Service,
    time_max: Duration,
    poll: Duration,
) -> Result<Option<AgentStatus>, AgentError> {
    // Counted from here: not every service manager forgets at a stop.
    let before = service.restarts().unwrap_or(0);
    let is_hopeless =
        || service.restarts().is_ok_and(|now| now.saturating_sub(before) >= RESTARTS_MAX);
    let mut last = Ok(None);
    wait_for(time_max, poll, || {
        last = agent.status();
        match &last {
            Ok(Some(status)) if is_ready(Some(status)) || status.state == State::Left => Some(()),
            Err(_) => Some(()),
            Ok(None) => is_hopeless().then_some(()),
            Ok(Some(_)) => None,
        }
    });
    last
}

/// True for a member that has what [`wait_ready`] waits for.
pub fn is_ready(status: Option<&AgentStatus>) -> bool {
    status.is_some_and(|status| status.state == State::Member && status.is_ready)
}
