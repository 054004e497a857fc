//! How long the disk takes, with etcd's names and buckets.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use raft::{DurationHistogram, Observer, Observers};

use super::durations;

/// Upper bound of the first of etcd's buckets; the last one ends at 8.2 s.
const FIRST: Duration = Duration::from_millis(1);
const BOUNDS: usize = 14;

/// What writing takes. Kept by the threads that write.
#[derive(Debug)]
pub struct DiskMetrics {
    log_syncs: Arc<DurationHistogram>,
    commits: Arc<DurationHistogram>,
}

impl Default for DiskMetrics {
    fn default() -> Self {
        let histogram = || Arc::new(DurationHistogram::new(FIRST, BOUNDS));
        Self { log_syncs: histogram(), commits: histogram() }
    }
}

impl DiskMetrics {
    /// What the consensus layer reports to.
    pub fn observers(&self) -> Observers {
        Observers {
            log_synced: Some(observer(&self.log_syncs)),
            database_committed: Some(observer(&self.commits)),
        }
    }
}

fn observer(histogram: &Arc<DurationHistogram>) -> Observer {
    let histogram = histogram.clone();
    Arc::new(move |took| histogram.observe(took))
}

impl Collector for DiskMetrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, histogram) in [
            (
                "etcd_disk_wal_fsync_duration_seconds",
                "Seconds a sync of the raft log took: what a write waits for",
                &self.log_syncs,
            ),
            (
                "etcd_disk_backend_commit_duration_seconds",
                "Seconds a transaction of the database took, behind the answers",
                &self.commits,
            ),
        ] {
            let metric = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
            durations::encode(metric, &histogram.counts())?;
        }
        Ok(())
    }
}
