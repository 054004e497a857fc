//! Consensus: one member's raft, its log and state-machine adapters, the peer protocol, the read
//! index and changes of membership.
//!
//! The only crate that names openraft; nothing of openraft is visible outside. The agent calls it
//! and is called back through [`Hooks`]. It must never acknowledge a command before it is on the
//! disks of a majority and applied here, and never send a command to a leader twice.

// The harness of the tests names the crate from outside.
#[cfg(test)]
extern crate self as quorate_raft;

mod codec;
mod config;
mod controller;
mod durations;
mod hooks;
mod ids;
mod join;
mod leadership;
mod log;
mod machine;
mod members;
mod node;
mod observers;
mod peer;
mod proposal;
mod proposals;
mod read_index;
mod snapshot_trigger;
mod start;
#[cfg(test)]
mod suite;
mod tasks;
mod types;
mod url;
mod waiters;

pub use config::Config;
pub use controller::{LeaveError, Operation, OperationKind, RemovalReason, RemoveError, Tombstone};
pub use durations::{DurationCounts, DurationHistogram};
pub use hooks::{Answer, Hooks};
pub use join::{JoinProgress, JoinSettings, SeedSource, join};
pub use leadership::Leadership;
pub use members::MemberInfo;
pub use node::{Node, Status};
pub use observers::{Observer, Observers};
pub use peer::{PeerStats, REMOVED};
pub use start::StartError;

/// Call numbers from here on are this crate's own; the agent uses lower ones.
pub const RESERVED_METHODS: u8 = peer::Method::FIRST;
