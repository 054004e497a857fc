//! Waiting for a condition, with a bound.

use std::thread;
use std::time::{Duration, Instant};

/// Asks `condition` every `poll` until it gives something, for at most `time_max`. Asks at least
/// once.
pub fn wait_for<T>(
    time_max: Duration,
    poll: Duration,
    mut condition: impl FnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + time_max;
    loop {
        if let Some(found) = condition() {
            return Some(found);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(poll.min(time_max));
    }
}
