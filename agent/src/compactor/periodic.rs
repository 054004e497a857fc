//! `--auto-compaction-mode=periodic`: history of a fixed length of time is kept.

use std::collections::VecDeque;

const HOUR_MS: u64 = 3_600_000;

/// Looks at the revision in one interval between compactions (etcd-surface 1.8).
const SAMPLES_PER_INTERVAL: u64 = 10;

/// Decides from samples of the revision; it has no clock of its own.
#[derive(Debug)]
pub struct Periodic {
    retention_ms: u64,
    /// Time and revision, oldest first; bounded because samples older than the retention go.
    samples: VecDeque<(u64, i64)>,
    compacted_ms: Option<u64>,
}

impl Periodic {
    /// Keeps `retention_ms` of history; at least a millisecond.
    pub fn new(retention_ms: u64) -> Self {
        Self { retention_ms: retention_ms.max(1), samples: VecDeque::new(), compacted_ms: None }
    }

    /// Time between two compactions: the retention, at most an hour.
    fn interval_ms(&self) -> u64 {
        self.retention_ms.min(HOUR_MS)
    }

    /// Time between two samples.
    pub fn sample_every_ms(&self) -> u64 {
        (self.interval_ms() / SAMPLES_PER_INTERVAL).max(1)
    }

    /// Takes a sample and says up to which revision history may go now, if it is time.
    pub fn sample(&mut self, now_ms: u64, revision: i64) -> Option<i64> {
        self.samples.push_back((now_ms, revision));
        let expired = self.samples.iter().take_while(|(at, _)| at + self.retention_ms <= now_ms);
        let (at, revision) = *expired.last()?;
        while self.samples.front().is_some_and(|(older, _)| *older < at) {
            self.samples.pop_front();
        }
        if self.compacted_ms.is_some_and(|done| now_ms < done + self.interval_ms()) {
            return None;
        }
        self.compacted_ms = Some(now_ms);
        Some(revision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60_000;

    /// Runs with one revision a minute and returns minute and target of every compaction.
    fn run(retention_ms: u64, minutes: u64) -> Vec<(u64, i64)> {
        let mut periodic = Periodic::new(retention_ms);
        let step = periodic.sample_every_ms();
        (0..minutes * MINUTE_MS)
            .step_by(step as usize)
            .filter_map(|now| {
                let target = periodic.sample(now, (now / MINUTE_MS) as i64)?;
                Some((now / MINUTE_MS, target))
            })
            .collect()
    }

    #[test]
    fn ten_minutes_of_history_stay_and_compaction_comes_every_ten() {
        assert_eq!(run(10 * MINUTE_MS, 40), [(10, 0), (20, 10), (30, 20)]);
    }

    #[test]
    fn a_long_retention_is_compacted_every_hour() {
        let hour = 60;
        let expected: Vec<_> = (0..3).map(|n| ((5 + n) * hour, n as i64 * hour as i64)).collect();
        assert_eq!(run(5 * HOUR_MS, 8 * hour), expected);
    }

    #[test]
    fn samples_do_not_pile_up() {
        let mut periodic = Periodic::new(HOUR_MS);
        for now in 0..10_000 {
            periodic.sample(now * periodic.sample_every_ms(), now as i64);
        }
        assert!(periodic.samples.len() <= SAMPLES_PER_INTERVAL as usize + 1);
    }
}
