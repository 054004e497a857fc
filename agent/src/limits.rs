//! The sizes and times that the operator chose, as the services need them.

use std::time::Duration;

/// What a transport may carry on top of `--max-request-bytes` (etcd-surface 1.7).
const GRPC_OVERHEAD_BYTES: usize = 512 * 1024;

/// Chosen by flags; see etcd-surface 5.2.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `--max-request-bytes`: a command as it stands in the log.
    pub request_bytes_max: usize,
    /// `--max-txn-ops`.
    pub txn_ops_max: usize,
    /// `--max-concurrent-streams` on one connection.
    pub streams_max: u32,
    /// `--quota-backend-bytes`; `None` is no quota.
    pub quota_bytes: Option<u64>,
    /// `--warning-unary-request-duration`; zero is never.
    pub slow_request: Duration,
    /// `--grpc-keepalive-interval`: an idle connection is asked whether it is there; `None` never.
    pub keepalive_interval: Option<Duration>,
    /// `--grpc-keepalive-timeout`: and given up without an answer.
    pub keepalive_timeout: Duration,
    /// The shortest lease, seconds: one and a half election timeouts, rounded up.
    pub lease_ttl_min_s: i64,
    /// `--election-timeout`, milliseconds.
    pub election_ms: u64,
}

impl Limits {
    /// The longest message of a call.
    pub fn message_bytes_max(&self) -> usize {
        self.request_bytes_max.saturating_add(GRPC_OVERHEAD_BYTES)
    }
}

/// The shortest lease that outlives an election, seconds (etcd-surface 1.10).
pub fn lease_ttl_min_s(election_ms: u64) -> i64 {
    (3 * election_ms).div_ceil(2 * 1000).max(1) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_lease_is_two_seconds_with_the_default_election_timeout() {
        assert_eq!(lease_ttl_min_s(1000), 2);
        assert_eq!(lease_ttl_min_s(2000), 3);
        assert_eq!(lease_ttl_min_s(100), 1);
    }
}
