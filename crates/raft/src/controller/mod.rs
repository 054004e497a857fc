//! The membership controller: what the leader does with the members, one operation at a time, each
//! recorded before it acts (self-healing by claims; docs/decisions/0008).
//!
//! - [`step`]: what an open operation needs next, a pure function.
//! - [`admission`], [`quorum`]: whether a claim is granted and a removal allowed, pure functions.
//! - [`drive`]: carrying out the steps; [`leave`], [`moves`], [`pinning`]: the occasions.

mod admission;
mod claim;
#[cfg(test)]
mod crash_tests;
mod drive;
mod forgotten;
mod leave;
mod moves;
mod operation;
mod pinning;
mod quorum;
mod step;

pub(crate) use admission::Life;
pub(crate) use claim::{Claim, ClaimAnswer, ClaimKind};
pub(crate) use forgotten::ask_seeds_when_forgotten;
pub(crate) use leave::Retirement;
pub use leave::{LeaveError, RemoveError};
pub(crate) use moves::{Announcement, announce_addresses};
#[cfg(test)]
pub(crate) use operation::tests::operation as sample_operation;
pub(crate) use operation::{OpenOperation, Record};
pub use operation::{Operation, OperationKind, RemovalReason, Tombstone};
pub(crate) use pinning::Unrecorded;
