//! Waiting for a condition, with a deadline: the only way a test waits.

use std::time::{Duration, Instant};

/// The deadline of [`eventually`]: generous, because a loaded 2-core machine elects slowly.
const EVENTUALLY: Duration = Duration::from_secs(30);
/// Pause between two looks at the condition.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks until `condition` gives a value; panics naming `what` after 30 s.
pub async fn eventually<T, F>(what: &str, condition: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    eventually_within(EVENTUALLY, what, condition).await
}

/// As [`eventually`], with the deadline as an argument.
pub async fn eventually_within<T, F>(limit: Duration, what: &str, mut condition: F) -> T
where
    F: AsyncFnMut() -> Option<T>,
{
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
