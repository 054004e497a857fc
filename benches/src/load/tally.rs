//! What one worker counted inside the measured window.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::wire::CallError;

/// Latencies up to here are told apart; longer ones count as this long.
const LATENCY_MAX: Duration = Duration::from_secs(100);

/// Significant decimal digits of a latency.
const DIGITS: u8 = 3;

/// Counts and latencies; those of all workers are merged at the end.
#[derive(Debug)]
pub struct Tally {
    /// Successes: calls, or keys or events where one call brings several.
    pub operations: u64,
    /// Nanoseconds.
    latency: Histogram<u64>,
    /// Failures by [`CallError::class`].
    pub errors: BTreeMap<String, u64>,
    /// The last text seen for each class, for a person to read.
    pub texts: BTreeMap<String, String>,
}

impl Default for Tally {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LATENCY_MAX.as_nanos() as u64, DIGITS);
        Self {
            operations: 0,
            latency: latency.expect("the bounds are constants that fit"),
            errors: BTreeMap::new(),
            texts: BTreeMap::new(),
        }
    }
}

impl Tally {
    /// Counts a success that brought `operations` and took `latency`.
    pub fn succeeded(&mut self, operations: u64, latency: Duration) {
        self.operations += operations;
        self.latency.saturating_record(latency.as_nanos().max(1) as u64);
    }

    /// Counts a failure.
    pub fn failed(&mut self, error: &CallError) {
        let class = error.class();
        self.texts.insert(class.clone(), error.to_string());
        self.count(class, 1);
    }

    /// Counts `times` failures without a call to blame, for instance operations never answered.
    pub fn count(&mut self, class: String, times: u64) {
        if times > 0 {
            *self.errors.entry(class).or_default() += times;
        }
    }

    /// Adds what another worker counted.
    pub fn merge(&mut self, other: Self) {
        self.operations += other.operations;
        self.latency.add(&other.latency).expect("all tallies have the same bounds");
        for (class, times) in other.errors {
            self.count(class, times);
        }
        self.texts.extend(other.texts);
    }

    /// The latency below which this share of successes stayed, microseconds; 0 without any.
    pub fn quantile_us(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1e3
    }

    /// The longest latency, microseconds.
    pub fn max_us(&self) -> f64 {
        self.latency.max() as f64 / 1e3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(latencies_us: impl Iterator<Item = u64>) -> Tally {
        let mut tally = Tally::default();
        latencies_us.for_each(|us| tally.succeeded(1, Duration::from_micros(us)));
        tally
    }

    #[test]
    fn merging_two_halves_gives_the_whole() {
        let mut merged = tally((1..=1000).filter(|us| us % 2 == 0));
        merged.merge(tally((1..=1000).filter(|us| us % 2 == 1)));
        let whole = tally(1..=1000);
        assert_eq!(merged.operations, 1000);
        for share in [0.5, 0.99, 0.999] {
            assert_eq!(merged.quantile_us(share), whole.quantile_us(share));
            assert!((merged.quantile_us(share) / (share * 1000.0) - 1.0).abs() < 0.002);
        }
        assert_eq!(merged.max_us(), whole.max_us());
    }

    #[test]
    fn errors_add_up_by_class_and_are_no_operations() {
        let error = CallError::Status { code: 14, message: "no leader".into() };
        let (mut one, mut other) = (tally(1..=2), Tally::default());
        one.failed(&error);
        other.failed(&error);
        other.failed(&CallError::Reply("empty"));
        one.merge(other);
        assert_eq!(one.operations, 2);
        assert_eq!(one.errors["UNAVAILABLE(14)"], 2);
        assert_eq!(one.errors.values().sum::<u64>(), 3);
    }

    #[test]
    fn latencies_beyond_the_bound_are_kept_as_the_bound() {
        let tally = tally([1, 1_000_000_000].into_iter());
        assert_eq!(tally.operations, 2);
        assert!(tally.max_us() >= 99e6);
    }
}
