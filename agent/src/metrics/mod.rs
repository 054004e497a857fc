//! Counters and gauges under etcd's names (etcd-surface 6.1), cheap to keep and encoded only when
//! somebody asks.

mod disk;
mod durations;
mod gauges;
mod grpc;
mod peers;
mod process;
mod text;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use prometheus_client::registry::Registry;

pub use self::disk::DiskMetrics;
pub use self::grpc::GrpcMetrics;
pub use self::peers::PeerCollector;
use crate::member::Member;

/// What the state machine has done since the process started.
#[derive(Debug, Default)]
pub struct StoreMetrics {
    puts: AtomicU64,
    put_bytes: AtomicU64,
    deletes: AtomicU64,
    ranges: AtomicU64,
    txns: AtomicU64,
}

impl StoreMetrics {
    /// A version of a key was written, `bytes` long encoded.
    pub fn put(&self, bytes: usize) {
        self.puts.fetch_add(1, Relaxed);
        self.put_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A key was deleted.
    pub fn delete(&self) {
        self.deletes.fetch_add(1, Relaxed);
    }

    /// A range was answered by this member.
    pub fn range(&self) {
        self.ranges.fetch_add(1, Relaxed);
    }

    /// A transaction was answered by this member.
    pub fn txn(&self) {
        self.txns.fetch_add(1, Relaxed);
    }
}

/// Everything this process counts.
#[derive(Debug)]
pub struct Metrics {
    /// Calls.
    pub grpc: Arc<GrpcMetrics>,
    /// The state machine.
    pub store: StoreMetrics,
    /// The disk.
    pub disk: Arc<DiskMetrics>,
    leader_changes: AtomicU64,
    proposals_failed: AtomicU64,
    health_successes: AtomicU64,
    health_failures: AtomicU64,
}

impl Metrics {
    /// All zero. `extensive` is `--metrics=extensive`.
    pub fn new(extensive: bool) -> Self {
        Self {
            grpc: Arc::new(GrpcMetrics::new(extensive)),
            store: StoreMetrics::default(),
            disk: Arc::default(),
            leader_changes: AtomicU64::new(0),
            proposals_failed: AtomicU64::new(0),
            health_successes: AtomicU64::new(0),
            health_failures: AtomicU64::new(0),
        }
    }

    /// A health check was answered.
    pub fn health_checked(&self, healthy: bool) {
        let counter = if healthy { &self.health_successes } else { &self.health_failures };
        counter.fetch_add(1, Relaxed);
    }

    /// This member sees another leader than before.
    pub fn leader_changed(&self) {
        self.leader_changes.fetch_add(1, Relaxed);
    }

    /// A proposal of a client came to nothing for no fault of its own.
    pub fn proposal_failed(&self) {
        self.proposals_failed.fetch_add(1, Relaxed);
    }

    /// The page, in OpenMetrics' form or in the older one that Prometheus calls text.
    pub fn render(self: &Arc<Self>, member: &Arc<Member>, openmetrics: bool) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.grpc.clone()));
        registry.register_collector(Box::new(self.disk.clone()));
        registry.register_collector(Box::new(gauges::MemberCollector(member.clone())));
        registry.register_collector(Box::new(PeerCollector(member.node.peer_stats())));
        registry.register_collector(Box::new(process::ProcessCollector));
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, &registry)
            .expect("a String takes everything");
        if openmetrics { page } else { text::prometheus(&page) }
    }
}
