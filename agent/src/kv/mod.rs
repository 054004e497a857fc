//! The KV service: reads answered from the store, writes proposed to the log.

mod compact;
mod delete_range;
mod put;
mod range;
mod range_stream;
mod txn;

pub use compact::{compact, compact_to};
pub use delete_range::delete_range;
pub use put::put;
pub use range::range;
pub use range_stream::range_stream;
pub use txn::txn;
