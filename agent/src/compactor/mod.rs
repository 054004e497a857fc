//! Giving up history: when (auto-compaction, by the leader) and how (rows removed in small steps,
//! by every member).

mod auto;
mod periodic;
mod physical;
mod retention;

pub use auto::run as run_auto;
pub use physical::{Steps, run as run_physical};
