//! openraft's log traits over the segment log.

mod reader;
mod recent;
mod store;

pub(crate) use store::{LogStore, from_position, to_position};
