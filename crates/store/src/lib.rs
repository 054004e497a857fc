//! The replicated state machine: keys with their history, leases, alarms, members, and the matching
//! of watchers.
//!
//! Every member applies the same commands in the same order and must arrive at the same state, so
//! nothing here may read a clock, touch a file, draw a random number or wait: what is needed of
//! those arrives inside the command or through [`History`]. `storage` writes down what [`Change`]
//! says, `raft` feeds commands in, the agent reads.

mod alarm;
mod apply;
mod change;
mod check;
mod command;
mod compact;
mod cost;
mod hash;
mod history;
mod ids;
mod index;
mod lease;
mod ledger;
mod lessor;
mod loader;
mod pins;
mod range;
mod read_error;
mod record;
mod shared;
mod store;
mod transaction;
mod txn;
pub mod watch;

pub use apply::{LEASE_TTL_S_MAX, Outcome, Reply};
pub use change::{Change, MemberAttributes, Previous, Row, RowKind};
pub use check::{check_delete_range, check_put, check_range, check_txn};
pub use command::{COMMAND_VERSION, Command, CommandError, CommandId, CommandKind, Op};
pub use cost::{LEASE_COST_BYTES, put_cost, txn_cost};
pub use hash::HashKv;
pub use history::{History, HistoryError};
pub use ids::{LeaseId, MemberId, Revision};
pub use lease::LeaseInfo;
pub use lessor::Lessor;
pub use loader::Loader;
pub use range::RangeChunks;
pub use read_error::ReadError;
pub use record::{MalformedRecord, Record, RecordView};
pub use shared::SharedStore;
pub use store::{Options, Store};
