//! Durations counted elsewhere, as a Prometheus histogram.

use std::fmt;

use prometheus_client::encoding::{MetricEncoder, NoLabelSet};
use raft::DurationCounts;

/// Writes the samples of one histogram; the encoder adds the buckets up.
pub fn encode(mut encoder: MetricEncoder<'_>, counts: &DurationCounts) -> fmt::Result {
    let count = counts.count();
    encoder.encode_histogram::<NoLabelSet>(counts.sum_s, count, &counts.buckets, None)
}
