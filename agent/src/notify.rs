//! What the service manager is told; without one, nothing happens.

use std::future::Future;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::life::Stage;

/// A start that takes long is told to be alive this often.
const EXTEND_EVERY: Duration = Duration::from_secs(10);

/// And may then take this much longer: several notes may be late on a busy machine.
const EXTEND_BY: Duration = Duration::from_secs(60);

/// The member serves, or is as far as it will get.
pub fn ready() {
    send(&[NotifyState::Ready], "is ready");
}

/// The member stops in order.
pub fn stopping() {
    send(&[NotifyState::Stopping], "stops");
}

/// What `systemctl status` shows.
pub fn status(stage: &Stage) {
    send(&[NotifyState::Status(&line(stage))], "has changed its state");
}

/// Works on something and asks for more time for the start while that lasts.
pub async fn while_starting<T>(work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let mut ticks = tokio::time::interval(EXTEND_EVERY);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => extend(),
        }
    }
}

fn extend() {
    let by_us = u32::try_from(EXTEND_BY.as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::ExtendTimeoutUsec(by_us)], "is still starting");
}

/// One line, whatever the reason contains.
fn line(stage: &Stage) -> String {
    let reason = stage.reason.replace(['\n', '\r'], " ");
    match reason.is_empty() {
        true => stage.state.as_str().to_owned(),
        false => format!("{}: {reason}", stage.state.as_str()),
    }
}

fn send(states: &[NotifyState<'_>], what: &str) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "could not tell the service manager that the member {what}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::life::State;

    #[test]
    fn a_status_is_one_line() {
        let stage = |reason: &str| Stage { state: State::Joining, reason: reason.to_owned() };
        assert_eq!(line(&stage("")), "joining");
        assert_eq!(line(&stage("no seed\nanswers")), "joining: no seed answers");
    }
}
