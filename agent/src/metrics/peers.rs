//! Traffic with the other members, one series per peer.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use raft::PeerStats;

use super::durations;

/// What has gone to and come from each peer.
#[derive(Debug)]
pub struct PeerCollector(pub Vec<PeerStats>);

impl Collector for PeerCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, label, value) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for stats in &self.0 {
                let (peer, count) = (stats.peer.to_string(), ConstCounter::new(value(stats)));
                count.encode(family.encode_family(&[(*label, peer.as_str())])?)?;
            }
        }
        let mut family = encoder.encode_descriptor(
            "etcd_network_peer_round_trip_time_seconds",
            "Seconds from a heartbeat to its answer; counted by the leader",
            None,
            MetricType::Histogram,
        )?;
        for stats in &self.0 {
            let peer = stats.peer.to_string();
            let label = [("To", peer.as_str())];
            durations::encode(family.encode_family(&label)?, &stats.round_trips)?;
        }
        Ok(())
    }
}

type Value = fn(&PeerStats) -> u64;

/// Name without `_total`, help, label and value of each counter.
const COUNTERS: &[(&str, &str, &str, Value)] = &[
    ("etcd_network_peer_sent_bytes", "Bytes sent to a peer", "To", |stats| stats.sent_bytes),
    ("etcd_network_peer_received_bytes", "Bytes received from a peer", "From", |stats| {
        stats.received_bytes
    }),
    (
        "etcd_network_peer_sent_failures",
        "Messages to a peer that found no connection, and connections that broke while writing",
        "To",
        |stats| stats.send_failures,
    ),
    (
        "etcd_network_peer_received_failures",
        "Connections with a peer that broke while reading",
        "From",
        |stats| stats.receive_failures,
    ),
];
