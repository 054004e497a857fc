//! While the member serves: what ends that.

use tokio::sync::mpsc;

use super::signals::Signals;
use super::start::Running;
use crate::life::{LeaveOrder, Life, State};

/// Why the member serves no longer.
pub enum End {
    /// Somebody stops the process.
    Signal(&'static str),
    /// It cannot go on.
    Fatal(String),
    /// It has left the cluster; who wanted that waits for an answer.
    Left(LeaveOrder),
}

/// Waits for the end; leaving the cluster is tried as often as it is ordered.
pub async fn serve(
    running: &Running,
    life: &Life,
    orders: &mut mpsc::Receiver<LeaveOrder>,
    signals: &mut Signals,
) -> End {
    let mut fatal = std::pin::pin!(running.fatal());
    loop {
        let order = tokio::select! {
            signal = signals.next() => return End::Signal(signal),
            reason = &mut fatal => return End::Fatal(reason),
            Some(order) = orders.recv() => order,
        };
        life.enter(State::Leaving, "");
        let outcome = tokio::select! {
            // A member that has left may report all kinds of things: this one counts.
            biased;
            outcome = running.leave() => outcome,
            signal = signals.next() => return End::Signal(signal),
            reason = &mut fatal => return End::Fatal(reason),
        };
        match outcome {
            Ok(()) => return End::Left(order),
            Err(error) => {
                tracing::warn!(%error, "could not leave the cluster");
                life.stays();
                order.answer(Err(error));
            }
        }
    }
}
