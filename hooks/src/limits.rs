//! How long the charm waits for what.

use std::time::Duration;

/// The waits of a hook. One value for units in production, shorter ones for tests.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A restarted member has to be ready within this, or it is taken back.
    pub ready_max: Duration,
    /// A joiner that was started is watched this long, so that the hook can report it; it goes on
    /// joining afterwards.
    pub join_max: Duration,
    /// Somebody else's turn to restart; longer than [`TURN_TTL`], so that a holder that died is
    /// outlasted.
    pub turn_max: Duration,
    /// Without a majority nobody can give turns; after this long the restart goes ahead, for it may
    /// be what brings the majority back.
    pub no_quorum_max: Duration,
    /// Leaving is tried for this long; then the Juju leader has to clean up.
    pub leave_max: Duration,
    /// Between two tries.
    pub poll: Duration,
}

/// How long a turn lasts when its holder does not give it back.
pub const TURN_TTL: Duration = Duration::from_secs(120);

impl Default for Limits {
    fn default() -> Self {
        Self {
            ready_max: Duration::from_secs(60),
            join_max: Duration::from_secs(30),
            turn_max: Duration::from_secs(150),
            no_quorum_max: Duration::from_secs(20),
            leave_max: Duration::from_secs(120),
            poll: Duration::from_millis(200),
        }
    }
}
