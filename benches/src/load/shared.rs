//! What all threads of a run look at.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::watch;

/// Where a run is. Only moves forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Connecting, granting leases, opening watches.
    Setup,
    /// Load without counting.
    Warmup,
    /// Load with counting.
    Measure,
    /// Finish the calls in flight and go.
    Done,
}

/// Shared by the leading thread and the workers.
pub struct Shared {
    /// For the hot path: one relaxed load per operation.
    phase: AtomicU8,
    /// For those who wait for a change.
    changes: watch::Sender<Phase>,
    /// Clients and watchers that are set up.
    ready: AtomicUsize,
    /// Operations left to start; only ever counts down.
    budget: AtomicI64,
    /// The next number of a sequential order.
    sequence: AtomicU64,
    /// The first failure of a set-up.
    failure: Mutex<Option<String>>,
    /// Time stamps inside values count from here.
    epoch: Instant,
}

impl Shared {
    /// A run that has not begun, and how many operations it may start.
    pub fn new(budget: i64) -> Self {
        Self {
            phase: AtomicU8::new(Phase::Setup as u8),
            changes: watch::Sender::new(Phase::Setup),
            ready: AtomicUsize::new(0),
            budget: AtomicI64::new(budget),
            sequence: AtomicU64::new(0),
            failure: Mutex::new(None),
            epoch: Instant::now(),
        }
    }

    /// Moves on.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        self.changes.send_replace(phase);
    }

    /// Whether operations count now.
    pub fn measuring(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Measure as u8
    }

    /// Whether no operation may start any more.
    pub fn done(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Done as u8
    }

    /// Waits until the run is in `phase` or beyond.
    pub async fn reached(&self, phase: Phase) {
        let mut changes = self.changes.subscribe();
        // Cannot fail: the sender is in `self`.
        let _ = changes.wait_for(|&now| now >= phase).await;
    }

    /// One more client or watcher is set up.
    pub fn add_ready(&self) {
        self.ready.fetch_add(1, Ordering::Release);
    }

    /// How many are set up.
    pub fn ready(&self) -> usize {
        self.ready.load(Ordering::Acquire)
    }

    /// Takes one operation out of the budget; false when there is none left.
    pub fn take(&self) -> bool {
        self.budget.fetch_sub(1, Ordering::Relaxed) > 0
    }

    /// Takes the next `count` numbers of the sequence and gives the first.
    pub fn numbers(&self, count: u64) -> u64 {
        self.sequence.fetch_add(count, Ordering::Relaxed)
    }

    /// Notes why a set-up failed; the first one is kept.
    pub fn fail(&self, reason: String) {
        let mut failure = self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failure.get_or_insert(reason);
    }

    /// Why a set-up failed.
    pub fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// Now, nanoseconds since the run was made.
    pub fn stamp_ns(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_budget_ends() {
        let shared = Shared::new(2);
        assert_eq!(
            [shared.take(), shared.take(), shared.take(), shared.take()],
            [true, true, false, false]
        );
    }

    #[test]
    fn the_first_failure_is_the_one_told() {
        let shared = Shared::new(0);
        shared.fail("cause".into());
        shared.fail("consequence".into());
        assert_eq!(shared.failure().as_deref(), Some("cause"));
    }
}
