//! Restarting the machine.

use super::Tools;
use crate::error::Result;

/// When to restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reboot {
    /// After the hook has succeeded.
    AfterHook,
    /// At once; the hook is killed and run again afterwards.
    Now,
}

impl Tools {
    /// Restarts the machine: `juju-reboot [--now]`. An error inside an action.
    pub fn juju_reboot(&self, when: Reboot) -> Result<()> {
        let now = (when == Reboot::Now).then_some("--now");
        self.call("juju-reboot").args(now).done()
    }
}
