//! The outcome of a run, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::load::tally::Tally;

/// What was measured inside the window. Latencies in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Length of the window.
    pub seconds: f64,
    /// Successes.
    pub operations: u64,
    /// Successes per second.
    pub ops_per_s: f64,
    /// Half of the successes were quicker.
    pub p50_us: f64,
    /// 99 of 100 were quicker.
    pub p99_us: f64,
    /// 999 of 1000 were quicker.
    pub p999_us: f64,
    /// The slowest.
    pub max_us: f64,
    /// Failures by class; never part of the figures above.
    pub errors: BTreeMap<String, u64>,
    /// The last text of each class.
    pub error_texts: BTreeMap<String, String>,
    /// The generator's own processor time per success, to tell its share of the cores.
    pub generator_cpu_us_per_op: f64,
}

impl Report {
    /// Sums up a window.
    pub fn new(tally: Tally, window: Duration, generator_cpu: Duration) -> Self {
        let operations = tally.operations;
        Self {
            seconds: window.as_secs_f64(),
            operations,
            ops_per_s: operations as f64 / window.as_secs_f64(),
            p50_us: tally.quantile_us(0.5),
            p99_us: tally.quantile_us(0.99),
            p999_us: tally.quantile_us(0.999),
            max_us: tally.max_us(),
            generator_cpu_us_per_op: generator_cpu.as_secs_f64() * 1e6 / operations.max(1) as f64,
            errors: tally.errors,
            error_texts: tally.texts,
        }
    }

    /// All failures.
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "operations  {} in {:.2} s", self.operations, self.seconds)?;
        writeln!(f, "ops/s       {:.0}", self.ops_per_s)?;
        writeln!(f, "p50         {:.0} us", self.p50_us)?;
        writeln!(f, "p99         {:.0} us", self.p99_us)?;
        writeln!(f, "p99.9       {:.0} us", self.p999_us)?;
        writeln!(f, "max         {:.0} us", self.max_us)?;
        writeln!(f, "own CPU     {:.1} us/op", self.generator_cpu_us_per_op)?;
        writeln!(f, "errors      {}", self.errors_total())?;
        for (class, times) in &self.errors {
            let text = self.error_texts.get(class).map_or("", String::as_str);
            writeln!(f, "  {times:>9} {class} {text}")?;
        }
        Ok(())
    }
}
