//! The Maintenance service: how this member is, and what operators may do to it.

mod alarm;
mod defragment;
mod hash;
mod hash_kv;
mod move_leader;
mod status;

pub use alarm::{alarm, disarm};
pub use defragment::{defragment, settle_database};
pub use hash::hash;
pub use hash_kv::hash_kv;
pub use move_leader::move_leader;
pub use status::status;
