//! What is on disk: the raft log, the SQLite backend with the rows of the store, snapshots of it,
//! and the data directory that holds them.
//!
//! `raft` calls this crate; it calls nobody but `store`, whose [`store::History`] it provides. It
//! must never acknowledge what is not synced, repair what is damaged without saying so, or delete
//! what it cannot replace. Everything here blocks on I/O in threads of its own; the calls that an
//! asynchronous thread may make say so. Formats are drawn in docs/formats, decisions are in
//! DESIGN.md beside this crate.
//!
//! - [`Log`]: votes and entries, synced before they are acknowledged.
//! - [`Backend`]: rows, leases, alarms and the applied position, written behind the reply path.
//! - [`SnapshotReader`], [`SnapshotWriter`]: the state as a stream of logical records.
//! - [`DataDir`]: lock, identity and the pinned incarnations of peers.

mod backend;
mod data_dir;
mod files;
#[cfg(test)]
mod kill;
mod log;
mod position;
mod snapshot;

pub use backend::{
    Backend, BackendError, BackendOptions, Batch, CommitObserver, FlushDone, Health,
};
pub use data_dir::{
    ARCHIVES_KEPT, DataDir, DataDirError, Identity, Incarnation, Past, PinMismatch, Standing,
};
pub use log::{
    Done, ENTRY_BYTES_MAX, Log, LogError, LogOptions, LogRecord, LogState, SyncObserver,
};
pub use position::LogPosition;
pub use snapshot::{SnapshotReader, SnapshotWriter};
