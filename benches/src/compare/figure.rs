//! One figure of all servers, and what to think of it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::compare::bars::{Bar, Better};
use crate::compare::server::ServerKind;

/// One line of the table of ratios.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// Cluster size.
    pub members: usize,
    /// What was done.
    pub case: String,
    /// What was measured, with its unit.
    pub measure: &'static str,
    /// Which way is better.
    pub better: Better,
    /// Medians.
    pub values: BTreeMap<ServerKind, f64>,
    /// What the ratio must be, where something is asked for.
    pub bar: Option<Bar>,
}

impl Figure {
    /// The best etcd of this run.
    pub fn best_etcd(&self) -> Option<f64> {
        let etcds = self.values.iter().filter(|(kind, _)| kind.is_etcd());
        self.better.best(etcds.map(|(_, &value)| value))
    }

    /// Ours divided by the best etcd; None when one of them is missing or 0.
    pub fn ratio(&self) -> Option<f64> {
        let ours = *self.values.get(&ServerKind::Ours)?;
        let best = self.best_etcd()?;
        (ours > 0.0 && best > 0.0).then(|| ours / best)
    }

    /// Whether the bar is met, and the goal; None without a ratio or a bar.
    pub fn verdict(&self) -> Option<(bool, bool)> {
        let (ratio, bar) = (self.ratio()?, self.bar?);
        Some((self.better.meets(ratio, bar.first), self.better.meets(ratio, bar.goal)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(better: Better, ours: f64, etcds: [f64; 2], bar: Bar) -> Figure {
        let kinds = [ServerKind::Ours, ServerKind::Etcd34, ServerKind::Etcd35];
        let values = kinds.into_iter().zip([ours, etcds[0], etcds[1]]).collect();
        Figure { members: 1, case: "put".into(), measure: "x", better, values, bar: Some(bar) }
    }

    #[test]
    fn the_ratio_is_to_the_best_etcd() {
        let bar = Bar::new(0.6, 0.4);
        let cpu = figure(Better::Lower, 20.0, [42.8, 48.7], bar);
        assert!((cpu.ratio().unwrap() - 0.467).abs() < 0.001);
        assert_eq!(cpu.verdict(), Some((true, false)));
        let ops = figure(Better::Higher, 80.0, [28.0, 32.0], Bar::new(1.5, 2.5));
        assert_eq!(ops.verdict(), Some((true, true)));
    }

    #[test]
    fn without_ours_there_is_no_verdict() {
        let mut cpu = figure(Better::Lower, 0.0, [42.8, 48.7], Bar::new(0.6, 0.4));
        assert_eq!(cpu.verdict(), None);
        cpu.values.remove(&ServerKind::Ours);
        assert_eq!((cpu.ratio(), cpu.best_etcd()), (None, Some(42.8)));
    }
}
