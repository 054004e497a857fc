//! Percentiles of a histogram.

use std::fmt;

use crate::{BUCKETS, bucket_max};

/// What a share of the values does not exceed; 0 without values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PercentileStats {
    /// Values counted.
    pub samples: u64,
    /// 0.1 %.
    pub p0_1: u64,
    /// 1 %.
    pub p1: u64,
    /// 5 %.
    pub p5: u64,
    /// 10 %.
    pub p10: u64,
    /// Half of them.
    pub p50: u64,
    /// 90 %.
    pub p90: u64,
    /// 99 %.
    pub p99: u64,
    /// 99.9 %.
    pub p99_9: u64,
}

impl PercentileStats {
    pub(crate) fn of(counts: &[u64; BUCKETS]) -> Self {
        let samples = counts.iter().sum();
        let at = |permille| value_at(counts, samples, permille);
        Self {
            samples,
            p0_1: at(1),
            p1: at(10),
            p5: at(50),
            p10: at(100),
            p50: at(500),
            p90: at(900),
            p99: at(990),
            p99_9: at(999),
        }
    }
}

impl fmt::Display for PercentileStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[n={} p50={} p90={} p99={}]", self.samples, self.p50, self.p90, self.p99)
    }
}

/// The end of the bucket that holds the value at `permille` of the way.
fn value_at(counts: &[u64; BUCKETS], samples: u64, permille: u64) -> u64 {
    let wanted = (u128::from(samples) * u128::from(permille)).div_ceil(1000) as u64;
    let mut seen = 0;
    for (bucket, count) in counts.iter().enumerate() {
        seen += count;
        if seen >= wanted {
            return bucket_max(bucket);
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use crate::Histogram;

    #[test]
    fn percentiles_are_ends_of_buckets() {
        let mut histogram = Histogram::<()>::new();
        histogram.record_n(5, 90);
        histogram.record_n(1000, 10);
        let stats = histogram.percentile_stats();
        assert_eq!((stats.samples, stats.p50, stats.p90, stats.p99), (100, 7, 7, 1023));
        assert_eq!(Histogram::<()>::new().percentile_stats().p50, 0);
    }
}
