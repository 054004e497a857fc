//! Which machines run a hook at the moment: one at a time each.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The machines that run a hook or an action.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    machines: Mutex<BTreeSet<u32>>,
    ended: Condvar,
}

impl Busy {
    /// The machines there are now.
    pub(crate) fn machines(&self) -> BTreeSet<u32> {
        self.lock().clone()
    }

    /// A hook begins on the machine; it ends when what is returned is dropped.
    pub(crate) fn begin(self: &Arc<Self>, machine: u32) -> Running {
        self.lock().insert(machine);
        Running { busy: self.clone(), machine }
    }

    /// Waits until another one has ended than `before` knows of, or the time is over. False when
    /// nothing runs.
    pub(crate) fn wait(&self, before: &BTreeSet<u32>, limit: Duration) -> bool {
        let machines = self.lock();
        if machines.is_empty() && before.is_empty() {
            return false;
        }
        let all_run = |now: &mut BTreeSet<u32>| before.is_subset(now);
        drop(self.ended.wait_timeout_while(machines, limit, all_run));
        true
    }

    /// Waits until the machine runs no hook.
    pub(crate) fn wait_for(&self, machine: u32) {
        let still_runs = |now: &mut BTreeSet<u32>| now.contains(&machine);
        drop(self.ended.wait_while(self.lock(), still_runs));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        self.machines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hook that runs.
pub(crate) struct Running {
    busy: Arc<Busy>,
    machine: u32,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.busy.lock().remove(&self.machine);
        self.busy.ended.notify_all();
    }
}
