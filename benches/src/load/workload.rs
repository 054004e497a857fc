//! What load to make: plain data, built from the command line or by `compare`.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::load::keys::Keyspace;

/// Bytes at the beginning of a watched value that hold the time of the put.
pub const STAMP_BYTES: usize = 8;

/// The kind of load. `docs/performance.md` describes each one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// One Put per operation.
    Put,
    /// One Txn with one put per operation.
    Txn,
    /// One key per operation.
    Get {
        /// Answered by the member from what it has, without asking the leader.
        serializable: bool,
    },
    /// Several neighbouring keys per operation.
    Range {
        /// Keys per list.
        keys: u64,
        /// As in [`Case::Get`].
        serializable: bool,
    },
    /// What an API server of Kubernetes does to its etcd.
    Mixed {
        /// Watches on the whole keyspace, open during the run.
        watchers: usize,
    },
    /// One lease and one stream per client, one renewal per operation.
    LeaseKeepalive,
    /// Watches on one key each time it is put; an operation is an event delivered.
    Watch {
        /// How many watch, all of them all keys.
        watchers: usize,
        /// gRPC streams they are spread over. One client process of etcd's library has one stream
        /// for all its watches, so a stream stands for a process.
        streams: usize,
    },
    /// Transactions of sequential puts until the keyspace is full; an operation is a key.
    Bulk {
        /// Puts per transaction; etcd's default limit is 128.
        keys_per_txn: u64,
    },
}

/// When the measured window ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// After this time.
    Duration(Duration),
    /// After this many operations in all.
    Operations(u64),
}

/// Everything the generator needs to know.
#[derive(Clone, Debug)]
pub struct Workload {
    /// `host:port`; connections take them in turns, in this order.
    pub endpoints: Vec<String>,
    /// The kind of load.
    pub case: Case,
    /// HTTP/2 connections in all, at least one per thread.
    pub connections: usize,
    /// Calls in flight at most. For [`Case::Watch`]: those who put.
    pub clients: usize,
    /// Threads with a runtime each.
    pub threads: usize,
    /// The measured window.
    pub limit: Limit,
    /// Load before the window opens; none when operations are counted.
    pub warmup: Duration,
    /// Which keys.
    pub keyspace: Keyspace,
    /// Length of values put.
    pub value_bytes: usize,
    /// Operations per second to offer, whatever the server does; None for as many as it takes.
    pub rate: Option<u64>,
}

impl Workload {
    /// Checks that the numbers fit together.
    ///
    /// # Errors
    /// Says which option is wrong and what it must be.
    pub fn check(&self) -> Result<()> {
        ensure!(!self.endpoints.is_empty(), "--endpoints needs at least one host:port");
        ensure!(self.threads > 0 && self.clients > 0, "--threads and --clients must be above 0");
        ensure!(
            self.connections >= self.threads,
            "--connections {} must be at least --threads {}",
            self.connections,
            self.threads
        );
        ensure!(self.rate != Some(0), "--rate must be above 0");
        self.keyspace.check()?;
        match self.case {
            Case::Watch { watchers, streams } => {
                ensure!(
                    self.value_bytes >= STAMP_BYTES,
                    "--value-bytes must be at least {STAMP_BYTES}: watched values carry a time stamp"
                );
                ensure!(
                    (1..=watchers).contains(&streams),
                    "--streams {streams} must be between 1 and --watchers {watchers}"
                );
            }
            Case::Range { keys, .. } => ensure!(
                keys > 0 && keys <= self.keyspace.count,
                "--keys {keys} must be between 1 and --key-count {}",
                self.keyspace.count
            ),
            Case::Bulk { keys_per_txn } => ensure!(keys_per_txn > 0, "--keys-per-txn is 0"),
            _ => {}
        }
        Ok(())
    }
}
