//! Durations counted in buckets, for the histograms of a metrics page.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts durations in buckets whose upper bounds double. Observing is two relaxed additions, so it
/// may be done on the threads that write and at every heartbeat.
#[derive(Debug)]
pub struct DurationHistogram {
    first: Duration,
    /// One per bound, then one for everything longer.
    counts: Box<[AtomicU64]>,
    sum_ns: AtomicU64,
}

/// What a [`DurationHistogram`] has counted so far.
#[derive(Clone, Debug, PartialEq)]
pub struct DurationCounts {
    /// Upper bounds in seconds, included, with what fell between the bound before and this one; the
    /// last bound is infinite.
    pub buckets: Vec<(f64, u64)>,
    /// All durations together, seconds.
    pub sum_s: f64,
}

impl DurationHistogram {
    /// `bounds` buckets, the first up to `first`, each twice as long as the one before.
    pub fn new(first: Duration, bounds: usize) -> Self {
        let counts = (0..=bounds).map(|_| AtomicU64::new(0)).collect();
        Self { first, counts, sum_ns: AtomicU64::new(0) }
    }

    /// Counts one duration.
    pub fn observe(&self, took: Duration) {
        let mut bound = self.first;
        let mut bucket = 0;
        while took > bound && bucket + 1 < self.counts.len() {
            bound *= 2;
            bucket += 1;
        }
        self.counts[bucket].fetch_add(1, Relaxed);
        // The sum would wrap after 584 years of waiting.
        self.sum_ns.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What has been counted. A duration that is being counted meanwhile may be in the buckets and
    /// not in the sum.
    pub fn counts(&self) -> DurationCounts {
        let finite = self.counts.len() - 1;
        let bounds = (0..finite).map(|bucket| (self.first * (1 << bucket)).as_secs_f64());
        let counts = self.counts.iter().map(|count| count.load(Relaxed));
        DurationCounts {
            buckets: bounds.chain([f64::INFINITY]).zip(counts).collect(),
            sum_s: Duration::from_nanos(self.sum_ns.load(Relaxed)).as_secs_f64(),
        }
    }
}

impl DurationCounts {
    /// How many durations there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|(_, count)| count).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_in_the_first_bucket_that_holds_it() {
        let histogram = DurationHistogram::new(Duration::from_millis(1), 3);
        for us in [0, 1_000, 1_001, 2_000, 4_000, 4_001, 9_000_000] {
            histogram.observe(Duration::from_micros(us));
        }
        let counts = histogram.counts();
        assert_eq!(counts.buckets, [(0.001, 2), (0.002, 2), (0.004, 1), (f64::INFINITY, 2)]);
        assert_eq!((counts.count(), counts.sum_s), (7, 9.012_002));
    }
}
