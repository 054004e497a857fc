//! The replicated state machine: keys with their history, leases, alarms, members, and the matching
//! of watchers.
//!
//! Every member applies the same commands in the same order and must arrive at the same state, so
//! nothing here may read a clock, touch a file, draw a random number or wait: what is needed of
//! those arrives inside the command or through [`History`]. `storage` writes down what [`Change`]
//! says, `raft` feeds commands in, the agent reads.

mod change;
mod command;
mod history;
mod ids;
mod record;

pub use change::{Change, MemberAttributes, Previous, Row, RowKind};
pub use command::{COMMAND_VERSION, Command, CommandError, CommandId, CommandKind, Op};
pub use history::{History, HistoryError};
pub use ids::{LeaseId, MemberId, Revision};
pub use record::{MalformedRecord, Record, RecordView};
