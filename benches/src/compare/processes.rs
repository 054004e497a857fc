//! The servers' processes. None of them outlives the benchmark.

use std::collections::BTreeMap;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// A server asked to end politely gets this long.
const END_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Table {
    /// By pid. A child in here was not reaped, so its pid cannot belong to somebody else.
    children: BTreeMap<u32, Child>,
    /// The benchmark is ending: nothing may be started any more.
    closed: bool,
}

/// Handle to all processes of the benchmark; clones share them.
#[derive(Clone, Default)]
pub struct Processes {
    table: Arc<Mutex<Table>>,
}

impl Processes {
    /// Starts a program and returns its pid.
    ///
    /// # Errors
    /// When it cannot be started, or the benchmark is ending.
    pub fn spawn(&self, command: &mut Command) -> Result<u32> {
        let mut table = self.lock();
        if table.closed {
            bail!("interrupted");
        }
        let child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let pid = child.id();
        table.children.insert(pid, child);
        Ok(pid)
    }

    /// Whether the process still runs.
    pub fn alive(&self, pid: u32) -> bool {
        let mut table = self.lock();
        table.children.get_mut(&pid).is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Stops the process until [`resume`](Self::resume).
    pub fn pause(&self, pid: u32) {
        self.signal(pid, Signal::STOP);
    }

    /// Lets a stopped process go on.
    pub fn resume(&self, pid: u32) {
        self.signal(pid, Signal::CONT);
    }

    /// Kills the process at once, as a power cut would.
    pub fn kill(&self, pid: u32) {
        let child = self.lock().children.remove(&pid);
        if let Some(child) = child {
            end(child);
        }
    }

    /// Asks the process to end and waits for that.
    ///
    /// # Errors
    /// When it does not in time; it is killed then.
    pub fn terminate(&self, pid: u32) -> Result<()> {
        self.signal(pid, Signal::CONT);
        self.signal(pid, Signal::TERM);
        let deadline = Instant::now() + END_MAX;
        while self.alive(pid) {
            if Instant::now() > deadline {
                self.kill(pid);
                bail!("process {pid} did not end within {END_MAX:?} of SIGTERM");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.kill(pid); // takes it out of the table
        Ok(())
    }

    /// Kills all and refuses new ones.
    pub fn end_all(&self) {
        let mut table = self.lock();
        table.closed = true;
        std::mem::take(&mut table.children).into_values().for_each(end);
    }

    fn signal(&self, pid: u32, signal: Signal) {
        let mut table = self.lock();
        let Some(child) = table.children.get_mut(&pid) else { return };
        if let (Ok(None), Some(pid)) = (child.try_wait(), Pid::from_raw(pid.cast_signed())) {
            let _ = kill_process(pid, signal); // fails only if it ended this instant
        }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// SIGKILL also ends a stopped process; waiting takes it out of the kernel's table.
fn end(mut child: Child) {
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_outlives_the_end_not_even_the_stopped() {
        let processes = Processes::default();
        let pid = processes.spawn(Command::new("sleep").arg("600")).unwrap();
        processes.pause(pid);
        assert!(processes.alive(pid));
        processes.end_all();
        assert!(!processes.alive(pid));
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
        assert!(processes.spawn(Command::new("sleep").arg("600")).is_err());
    }

    #[test]
    fn a_polite_end_is_waited_for() {
        let processes = Processes::default();
        let pid = processes.spawn(Command::new("sleep").arg("600")).unwrap();
        processes.terminate(pid).unwrap();
        assert!(!processes.alive(pid));
    }
}
