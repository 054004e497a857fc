//! The state as a stream of logical records, for a follower that is too far behind or an operator.

mod format;
mod reader;
#[cfg(test)]
mod tests;
mod writer;

pub use reader::SnapshotReader;
pub(crate) use writer::Received;
pub use writer::SnapshotWriter;
