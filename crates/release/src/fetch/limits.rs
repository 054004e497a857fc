//! Bounds of a transfer, and the proxies it may take.

use std::time::Duration;

/// Bounds of one transfer.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Most bytes of the archive.
    pub bytes_max: u64,
    /// Everything together: waiting for another fetch, connecting, transfer, repeats.
    pub total: Duration,
    /// One connection attempt, name resolution and TLS included.
    pub connect: Duration,
    /// Longest time without a byte.
    pub idle: Duration,
    /// Most redirects of one request.
    pub redirects_max: usize,
    /// Most requests: the first one and its repeats after a broken connection, 429 or 5xx.
    pub attempts_max: u32,
    /// Wait before the first repeat; it doubles each time, up to [`BACKOFF_MAX`].
    pub backoff: Duration,
}

/// Longest wait before a repeat.
pub const BACKOFF_MAX: Duration = Duration::from_secs(15);

impl Default for Limits {
    /// 256 MiB, 10 min in all, 15 s to connect, 30 s of silence, 5 redirects, 6 attempts with waits
    /// of 1, 2, 4, 8, 15 s.
    fn default() -> Self {
        Self {
            bytes_max: 256 * 1024 * 1024,
            total: Duration::from_secs(600),
            connect: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            redirects_max: 5,
            attempts_max: 6,
            backoff: Duration::from_secs(1),
        }
    }
}

/// Proxies, as Juju's `JUJU_CHARM_*` variables give them. Those of the process's own environment
/// are not looked at.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    /// For `http://`, a URL.
    pub http: Option<String>,
    /// For `https://`, a URL.
    pub https: Option<String>,
    /// Hosts, domains, addresses and networks (CIDR) that are reached directly, comma-separated.
    pub no_proxy: Option<String>,
}
