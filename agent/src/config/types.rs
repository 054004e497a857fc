//! The typed configuration of a member.

use std::path::PathBuf;
use std::time::Duration;

use super::url::Url;

/// Everything a member is told at its start. Made by [`super::parse`], which has checked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Name of this member; not empty.
    pub name: String,
    /// Directory for everything the member keeps.
    pub data_dir: PathBuf,
    /// Where it listens and what it tells others.
    pub urls: Urls,
    /// The founding members, sorted by name, each name once; read only while `data_dir` is empty.
    pub founding_members: Vec<FoundingMember>,
    /// Whether an empty `data_dir` founds a cluster or joins one.
    pub cluster_state: ClusterState,
    /// Keeps clusters apart that were founded with the same addresses.
    pub cluster_token: String,
    /// Where to ask for membership; `None` is plain etcd: nothing joins by itself.
    pub join: Option<JoinSeeds>,
    /// Where `quorate admin` finds this process; `None` is nowhere.
    pub admin_socket: Option<PathBuf>,
    /// Refuse membership changes that would cost the quorum.
    pub strict_reconfig_check: bool,
    /// Heartbeats and elections.
    pub timing: Timing,
    /// What is accepted from clients.
    pub limits: Limits,
    /// Pings on client connections.
    pub keepalive: Keepalive,
    /// When history is given up without being asked.
    pub auto_compaction: AutoCompaction,
    /// How storage works in the background.
    pub tuning: Tuning,
    /// When slowness is logged.
    pub slow: SlowRequests,
    /// Whether /metrics includes histograms per gRPC method.
    pub extensive_metrics: bool,
    /// How often an idle watch that asked for it is told the revision; never zero.
    pub watch_progress_interval: Duration,
    /// Where log lines go.
    pub log: LogConfig,
    /// What was accepted without effect; to be logged once the log works.
    pub warnings: Vec<String>,
}

/// Addresses. Lists are sorted and free of duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// For other members to connect to; at least one, `http`.
    pub listen_peer: Vec<Url>,
    /// For clients to connect to; at least one, `http`.
    pub listen_client: Vec<Url>,
    /// For metrics and health checks alone; may be empty.
    pub listen_metrics: Vec<Url>,
    /// What the other members are told; at least one, `http`.
    pub advertise_peer: Vec<Url>,
    /// What clients are told; at least one.
    pub advertise_client: Vec<Url>,
    /// Set `SO_REUSEPORT`.
    pub reuse_port: bool,
    /// Set `SO_REUSEADDR`.
    pub reuse_address: bool,
}

/// One of `--initial-cluster`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundingMember {
    /// Its `--name`.
    pub name: String,
    /// Its peer addresses; at least one, sorted.
    pub peer_urls: Vec<Url>,
}

/// `--join-seeds` and `--join-seeds-file`; at least one of them is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinSeeds {
    /// Peer addresses of members that may know the cluster, `http`; may be empty.
    pub urls: Vec<Url>,
    /// More of them, one per line; read again before every attempt.
    pub file: Option<PathBuf>,
}

/// What an empty data directory means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClusterState {
    /// A cluster to be founded.
    New,
    /// A cluster this member was added to.
    Existing,
}

/// Heartbeats and elections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// From leader to followers, in milliseconds; at least 1.
    pub heartbeat_ms: u64,
    /// Silence before an election, in milliseconds; 5 heartbeats to 50 000.
    pub election_ms: u64,
    /// Shorten the wait for the first election.
    pub initial_election_advance: bool,
    /// Ask before starting an election.
    pub pre_vote: bool,
}

/// What is accepted from clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in use beyond which writes are refused.
    pub quota: Quota,
    /// Largest request, in bytes.
    pub request_bytes_max: usize,
    /// Operations in one transaction.
    pub txn_ops_max: usize,
    /// Streams one connection may have open.
    pub concurrent_streams_max: u32,
    /// Members without a vote.
    pub learners_max: usize,
}

/// `--quota-backend-bytes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// No quota.
    Unlimited,
    /// This many bytes.
    Bytes(u64),
}

/// Pings on client connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keepalive {
    /// A client that pings more often is disconnected.
    pub min_time: Duration,
    /// Idle time before the member pings; `None` is never.
    pub interval: Option<Duration>,
    /// Time to answer a ping; `None` is for ever.
    pub timeout: Option<Duration>,
}

/// When history is given up without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCompaction {
    /// Never.
    Off,
    /// History of this long is kept.
    Periodic(Duration),
    /// This many revisions are kept.
    Revisions(u64),
}

/// How storage works in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuning {
    /// Applied entries after which the log may be shortened.
    pub snapshot_count: u64,
    /// Entries kept for members that lag.
    pub snapshot_catchup_entries: u64,
    /// Longest time rows wait to be committed to the database; never zero.
    pub batch_interval: Duration,
    /// Rows that are committed without waiting; never zero.
    pub batch_rows_max: usize,
    /// Revisions removed in one step of a compaction.
    pub compaction_rows_max: usize,
    /// Pause between two steps of a compaction.
    pub compaction_pause: Duration,
    /// Memory for the values of live keys, in bytes.
    pub value_cache_bytes: u64,
}

/// When slowness is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowRequests {
    /// Applying a batch for longer.
    pub apply: Duration,
    /// Answering a request for longer.
    pub unary: Duration,
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The least important lines to log.
    pub level: LogLevel,
    /// Layout of a line.
    pub format: LogFormat,
    /// Every line goes to all of these; at least one, each once.
    pub outputs: Vec<LogOutput>,
}

/// Importance of a line. etcd's `dpanic`, `panic` and `fatal` are [`LogLevel::Error`]: no line
/// here is more important than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For development.
    Debug,
    /// State changes.
    Info,
    /// Somebody should look when they have time.
    Warn,
    /// Somebody should look.
    Error,
}

/// Layout of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object.
    Json,
    /// Text for people.
    Console,
}

/// A place for log lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogOutput {
    /// Standard error.
    Stderr,
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}
