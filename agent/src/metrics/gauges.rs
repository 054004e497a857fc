//! What is read from the member at every scrape.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use api::ETCD_VERSION;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::member::Member;

/// Reads a member.
pub struct MemberCollector(pub Arc<Member>);

impl fmt::Debug for MemberCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemberCollector")
    }
}

impl Collector for MemberCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (member, encoder) = (&*self.0, &mut encoder);
        consensus(member, encoder)?;
        database(member, encoder)?;
        revisions(member, encoder)?;
        leases(member, encoder)?;
        watching(member, encoder)?;
        identity(member, encoder)
    }
}

/// One gauge.
pub fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: f64,
) -> fmt::Result {
    ConstGauge::new(value).encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)
}

/// One counter; `name` is without `_total`.
pub fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: f64,
) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(value).encode(metric)
}

/// A gauge that is 1 and says everything in its label.
fn label(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: (&str, &str),
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    ConstGauge::new(1u64).encode(family.encode_family(&[label])?)
}

fn flag(value: bool) -> f64 {
    f64::from(u8::from(value))
}

fn consensus(member: &Member, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let status = member.node.status();
    let metrics = &member.metrics;
    let e = encoder;
    gauge(e, "etcd_server_has_leader", "A leader is known", flag(status.leader.is_some()))?;
    gauge(e, "etcd_server_is_leader", "This member leads", flag(status.is_leader))?;
    gauge(e, "etcd_server_is_learner", "This member has no vote", flag(status.is_learner))?;
    let changes = metrics.leader_changes.load(Relaxed) as f64;
    counter(e, "etcd_server_leader_changes_seen", "Changes of the leader seen", changes)?;
    // Gauges in spite of their names, as in etcd.
    let committed = status.committed_index as f64;
    gauge(e, "etcd_server_proposals_committed_total", "Last index committed", committed)?;
    let applied = status.applied_index as f64;
    gauge(e, "etcd_server_proposals_applied_total", "Last index applied", applied)?;
    let pending = member.node.proposals_pending() as f64;
    gauge(e, "etcd_server_proposals_pending", "Proposals waiting for their outcome", pending)?;
    let failed = metrics.proposals_failed.load(Relaxed) as f64;
    counter(e, "etcd_server_proposals_failed", "Proposals that came to nothing", failed)?;
    let healthy = metrics.health_successes.load(Relaxed) as f64;
    gauge(e, "etcd_server_health_success", "Health checks answered well", healthy)?;
    let unhealthy = metrics.health_failures.load(Relaxed) as f64;
    gauge(e, "etcd_server_health_failures", "Health checks answered badly", unhealthy)
}

fn database(member: &Member, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let in_use = member.standing.bytes_in_use();
    let size = member.node.backend().size_bytes().max(in_use) as f64;
    gauge(e, "etcd_mvcc_db_total_size_in_bytes", "Size of the database on disk", size)?;
    let help = "Bytes of all versions that compaction has left";
    gauge(e, "etcd_mvcc_db_total_size_in_use_in_bytes", help, in_use as f64)?;
    let quota = member.quota.bytes() as f64;
    gauge(e, "etcd_server_quota_backend_bytes", "Quota of bytes in use", quota)
}

fn revisions(member: &Member, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let store = &member.metrics.store;
    for (name, help, value) in [
        ("etcd_mvcc_put", "Keys written", &store.puts),
        ("etcd_mvcc_delete", "Keys deleted", &store.deletes),
        ("etcd_mvcc_range", "Ranges answered", &store.ranges),
        ("etcd_mvcc_txn", "Transactions answered", &store.txns),
    ] {
        counter(e, name, help, value.load(Relaxed) as f64)?;
    }
    let put_bytes = store.put_bytes.load(Relaxed) as f64;
    let help = "Bytes of the versions written";
    gauge(e, "etcd_debugging_mvcc_total_put_size_in_bytes", help, put_bytes)?;
    let keys = member.store.read(|store| store.keys_total()) as f64;
    gauge(e, "etcd_debugging_mvcc_keys_total", "Live keys", keys)?;
    let current = member.store.current_revision() as f64;
    gauge(e, "etcd_debugging_mvcc_current_revision", "Current revision", current)?;
    let compacted = member.store.compact_revision() as f64;
    gauge(e, "etcd_debugging_mvcc_compact_revision", "Revision of the last compaction", compacted)
}

fn leases(member: &Member, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let counts = member.leases.counts();
    for (name, help, value) in [
        ("etcd_debugging_lease_granted", "Leases granted", counts.granted),
        ("etcd_debugging_lease_revoked", "Leases revoked", counts.revoked),
        ("etcd_debugging_lease_renewed", "Keep-alives answered by this leader", counts.renewed),
        ("etcd_debugging_server_lease_expired", "Leases found expired", counts.expired),
    ] {
        counter(e, name, help, value as f64)?;
    }
    Ok(())
}

fn watching(member: &Member, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let counters = member.watchers.counters();
    let watchers = counters.watchers() as f64;
    gauge(e, "etcd_debugging_mvcc_watcher_total", "Watchers", watchers)?;
    let slow = counters.slow_watchers() as f64;
    gauge(e, "etcd_debugging_mvcc_slow_watcher_total", "Watchers catching up", slow)?;
    let streams = counters.streams() as f64;
    gauge(e, "etcd_debugging_mvcc_watch_stream_total", "Watch streams", streams)?;
    let pending = counters.pending_events() as f64;
    gauge(e, "etcd_debugging_mvcc_pending_events_total", "Events not sent yet", pending)?;
    counter(e, "etcd_debugging_mvcc_events", "Events sent", counters.events() as f64)
}

fn identity(member: &Member, e: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let id = format!("{:x}", member.id());
    label(e, "etcd_server_id", "Id of this member", ("server_id", &id))?;
    let help = "etcd release whose behaviour this member has";
    label(e, "etcd_server_version", help, ("server_version", ETCD_VERSION))?;
    let own = env!("CARGO_PKG_VERSION");
    label(e, "quorate_build", "Release of this member", ("version", own))?;
    match member.store.read(|store| store.cluster_version().map(str::to_owned)) {
        None => Ok(()),
        Some(version) => {
            let version = version.rsplit_once('.').map_or(version.as_str(), |(minor, _)| minor);
            let help = "Version the cluster has agreed on";
            label(e, "etcd_cluster_version", help, ("cluster_version", version))
        }
    }
}
