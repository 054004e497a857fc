//! Who is told how long the disk took.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Told a duration on the thread that did the work: must be quick and never block.
pub type Observer = Arc<dyn Fn(Duration) + Send + Sync>;

/// The observers of one node; each may be absent.
#[derive(Clone, Default)]
pub struct Observers {
    /// Told of every sync of the raft log: what a write waits for.
    pub log_synced: Option<Observer>,
    /// Told of every transaction of the database, with the sync and the checkpoint when one was
    /// due. It happens behind the answers.
    pub database_committed: Option<Observer>,
}

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observers")
    }
}
