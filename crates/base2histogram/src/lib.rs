//! What openraft needs of the crate `base2histogram`, at 520 bytes a histogram.
//!
//! The published crate (0.2.3) fills tables of 25 MB for all its resolutions when the first
//! histogram is made, more than an idle member takes in all. The workspace manifest puts this crate
//! in its place (docs/decisions/0005-a-small-base2histogram.md).

mod chart;
mod percentiles;

use std::marker::PhantomData;

pub use chart::AsciiChart;
pub use percentiles::PercentileStats;

/// One bucket per power of two, and one for zero.
const BUCKETS: usize = 65;

/// Counts values by the number of their bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram<T = ()> {
    counts: [u64; BUCKETS],
    slots: PhantomData<T>,
}

impl<T> Default for Histogram<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Histogram<T> {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: [0; BUCKETS], slots: PhantomData }
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Counts the same value `count` times.
    pub fn record_n(&mut self, value: u64, count: u64) {
        self.counts[(u64::BITS - value.leading_zeros()) as usize] += count;
    }

    /// Values counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The usual percentiles, each rounded up to the end of its bucket.
    pub fn percentile_stats(&self) -> PercentileStats {
        PercentileStats::of(&self.counts)
    }
}

/// The greatest value a bucket counts.
fn bucket_max(bucket: usize) -> u64 {
    if bucket == 0 { 0 } else { u64::MAX >> (u64::BITS as usize - bucket) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_a_bucket() {
        let mut histogram = Histogram::<()>::new();
        for value in [0, 1, 2, 3, 1 << 40, u64::MAX] {
            histogram.record(value);
        }
        assert_eq!(histogram.total(), 6);
        assert_eq!(histogram.counts[2], 2);
        assert_eq!(histogram.counts[64], 1);
    }
}
