//! Several histograms as text.

use std::fmt;

use crate::{Histogram, bucket_max};

/// Histograms with their names; shown, each line is a bucket that has values.
#[derive(Clone, Debug, Default)]
pub struct AsciiChart(Vec<(String, Histogram)>);

impl AsciiChart {
    /// An empty chart.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a histogram below the others.
    #[must_use]
    pub fn add(mut self, name: impl Into<String>, histogram: Histogram) -> Self {
        self.0.push((name.into(), histogram));
        self
    }
}

impl fmt::Display for AsciiChart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, histogram) in &self.0 {
            writeln!(f, "{name}")?;
            for (bucket, count) in histogram.counts.iter().enumerate() {
                if *count > 0 {
                    writeln!(f, "  <= {:>20}: {count}", bucket_max(bucket))?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_buckets_with_values_are_shown() {
        let mut histogram = Histogram::new();
        histogram.record_n(6, 3);
        let chart = AsciiChart::new().add("sizes", histogram).to_string();
        assert_eq!(chart.lines().collect::<Vec<_>>(), ["sizes", "  <=                    7: 3"]);
    }
}
