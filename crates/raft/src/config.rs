//! What a node needs to know to start.

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::TcpListener;

use crate::join::JoinSettings;
use crate::observers::Observers;

/// The settings of one member; names follow etcd's flags.
#[derive(Debug)]
pub struct Config {
    /// Where everything is kept; made when absent.
    pub data_dir: PathBuf,
    /// The open peer sockets.
    pub peer_listeners: Vec<TcpListener>,
    /// What the other members reach this one by.
    pub advertise_peer_urls: Vec<String>,
    /// The members a new cluster starts with, or those to ask about an existing one: names with
    /// their peer URLs.
    pub initial_cluster: Vec<(String, Vec<String>)>,
    /// Keeps clusters apart that were made from the same URLs.
    pub initial_cluster_token: String,
    /// Why an empty data directory cannot begin with this configuration, in one line for a person;
    /// `None` when it can. One with data ignores the initial cluster, as etcd does, and so this.
    pub bootstrap_fault: Option<String>,
    /// The cluster exists and this member has been added to it.
    pub join_existing: bool,
    /// Time between heartbeats.
    pub heartbeat_interval: Duration,
    /// Shortest time without a heartbeat before an election; the longest is a fifth more.
    pub election_timeout: Duration,
    /// Ask the others before raising the term.
    pub pre_vote: bool,
    /// Entries applied between two snapshots.
    pub snapshot_count: u64,
    /// Entries kept behind a snapshot for followers that lag.
    pub snapshot_catchup_entries: u64,
    /// Bytes of log kept, whatever the number of entries.
    pub log_bytes_max: u64,
    /// Learners at once.
    pub max_learners: usize,
    /// The store's own settings.
    pub store: store::Options,
    /// Who is told how long the disk takes.
    pub observers: Observers,
    /// How this member comes to its membership by itself; `None` keeps etcd's ways: members are
    /// added by hand.
    pub join: Option<JoinSettings>,
}

impl Config {
    /// How long a request may take before it is given up: etcd's five seconds and two elections.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(5) + 2 * self.election_timeout
    }

    /// openraft's configuration.
    pub(crate) fn openraft(&self, name: String) -> openraft::Config {
        let election_ms = millis(self.election_timeout);
        openraft::Config {
            cluster_name: name,
            heartbeat_interval: millis(self.heartbeat_interval),
            // A follower stands when a leader's lease, which lasts `election_timeout_max`, and then
            // a random time between the two have passed: together one to 1.2 of our timeout.
            election_timeout_min: election_ms * 2 / 5,
            election_timeout_max: election_ms * 3 / 5,
            enable_pre_vote: Some(self.pre_vote),
            // A restarted leader is elected again, as etcd's users expect; resuming without a vote
            // is only safe when the committed mark was synced, and ours is not.
            enable_leader_restore: Some(false),
            // Snapshots are ours to trigger, and a follower gets one only when the log no longer
            // has what it needs, however far behind it is (openraft issue 2116).
            snapshot_policy: openraft::SnapshotPolicy::Never,
            replication_lag_threshold: LAG_ENTRIES_MAX,
            max_in_snapshot_log_to_keep: self.snapshot_catchup_entries,
            install_snapshot_timeout: INSTALL_TIMEOUT_MS,
            max_payload_entries: ENTRIES_PER_APPEND_MAX,
            backoff: "20ms 50ms 100ms ..500ms".to_owned(),
            ..openraft::Config::default()
        }
    }
}

/// Far more than two starved cores can fall behind while the log still has the entries.
const LAG_ENTRIES_MAX: u64 = 1_000_000_000;

/// The network layer bounds each step of a snapshot itself.
const INSTALL_TIMEOUT_MS: u64 = 600_000;

/// Entries of one append; its bytes are bounded where the log is read.
const ENTRIES_PER_APPEND_MAX: u64 = 4_096;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
