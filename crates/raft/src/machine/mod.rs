//! openraft's state-machine trait over the store and the database behind it.

mod apply;
mod compact;
mod membership;
mod snapshot;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use membership::ClusterMembership;
pub(crate) use snapshot::{SnapshotData, blocking, stored_membership};
pub(crate) use state::{Machine, MachineState};
