//! What the parts need of the configuration, in their own words.

use std::time::Duration;

use tokio::net::TcpListener;

use super::seeds;
use crate::config::{ClusterState, Config, Quota, Url};
use crate::limits::{Limits, lease_ttl_min_s};
use crate::watch;

/// Log kept for members that lag, whatever the number of entries.
const LOG_BYTES_MAX: u64 = 512 << 20;

/// For "never" where a duration is wanted: longer than any process lives.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// The services' limits.
pub fn limits(config: &Config) -> Limits {
    Limits {
        request_bytes_max: config.limits.request_bytes_max,
        txn_ops_max: config.limits.txn_ops_max,
        streams_max: config.limits.concurrent_streams_max,
        quota_bytes: match config.limits.quota {
            Quota::Unlimited => None,
            Quota::Bytes(bytes) => Some(bytes),
        },
        slow_request: config.slow.unary,
        keepalive_interval: config.keepalive.interval,
        keepalive_timeout: config.keepalive.timeout.unwrap_or(NEVER),
        lease_ttl_min_s: lease_ttl_min_s(config.timing.election_ms),
        election_ms: config.timing.election_ms,
    }
}

/// The watch hub's options.
pub fn watching(config: &Config) -> watch::Options {
    let limits = limits(config);
    watch::Options {
        limits: store::watch::Limits {
            fragment_bytes_max: limits.message_bytes_max(),
            ..Default::default()
        },
        progress_interval: config.watch_progress_interval,
        election_timeout: Duration::from_millis(config.timing.election_ms),
        request_bytes_max: limits.message_bytes_max(),
    }
}

/// The consensus layer's configuration.
pub fn raft(
    config: &Config,
    peer_listeners: Vec<TcpListener>,
    observers: raft::Observers,
) -> raft::Config {
    let founders = config.founding_members.iter();
    raft::Config {
        data_dir: config.data_dir.clone(),
        peer_listeners,
        advertise_peer_urls: texts(&config.urls.advertise_peer),
        initial_cluster: founders.map(|m| (m.name.clone(), texts(&m.peer_urls))).collect(),
        initial_cluster_token: config.cluster_token.clone(),
        bootstrap_fault: config.check_bootstrap().err().map(|fault| fault.to_string()),
        join_existing: config.cluster_state == ClusterState::Existing,
        join: config.join.as_ref().map(|seeds| raft::JoinSettings {
            name: config.name.clone(),
            client_urls: texts(&config.urls.advertise_client),
            seeds: seeds::source(seeds),
        }),
        heartbeat_interval: Duration::from_millis(config.timing.heartbeat_ms),
        election_timeout: Duration::from_millis(config.timing.election_ms),
        pre_vote: config.timing.pre_vote,
        snapshot_count: config.tuning.snapshot_count,
        snapshot_catchup_entries: config.tuning.snapshot_catchup_entries,
        log_bytes_max: LOG_BYTES_MAX,
        max_learners: config.limits.learners_max,
        store: store::Options {
            value_bytes_max: config.tuning.value_cache_bytes,
            max_txn_ops: config.limits.txn_ops_max,
        },
        observers,
    }
}

/// URLs as their owners wrote them.
pub fn texts(urls: &[Url]) -> Vec<String> {
    urls.iter().map(|url| url.as_str().to_owned()).collect()
}
