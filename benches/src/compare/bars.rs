//! What a ratio of ours to the best etcd must be.

use serde::Serialize;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Times, memory, disk.
    Lower,
    /// Throughput.
    Higher,
}

/// The first bar, which must be met, and the goal behind it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bar {
    /// Missing it is a failure.
    pub first: f64,
    /// Where we want to be.
    pub goal: f64,
}

impl Bar {
    /// A bar and a goal.
    pub const fn new(first: f64, goal: f64) -> Self {
        Self { first, goal }
    }
}

impl Better {
    /// The best of several figures.
    pub fn best(self, figures: impl Iterator<Item = f64>) -> Option<f64> {
        figures.reduce(|one, other| if self.beats(one, other) { one } else { other })
    }

    /// Whether `figure` meets `bar`.
    pub fn meets(self, figure: f64, bar: f64) -> bool {
        figure == bar || self.beats(figure, bar)
    }

    fn beats(self, one: f64, other: f64) -> bool {
        match self {
            Self::Lower => one < other,
            Self::Higher => one > other,
        }
    }
}

/// The median; 0 of nothing. Of an even number the mean of the two in the middle.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    let middle = figures.len() / 2;
    match figures.len() {
        0 => 0.0,
        even if even % 2 == 0 => f64::midpoint(figures[middle - 1], figures[middle]),
        _ => figures[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_outlier_does_not_move_the_median() {
        assert_eq!(median(vec![3.0, 900.0, 1.0, 2.0, 4.0]), 3.0);
        assert_eq!(median(vec![4.0, 1.0]), 2.5);
        assert_eq!(median(vec![]), 0.0);
    }

    #[test]
    fn the_best_depends_on_the_direction() {
        let figures = [42.8, 48.7, 61.0];
        assert_eq!(Better::Lower.best(figures.into_iter()), Some(42.8));
        assert_eq!(Better::Higher.best(figures.into_iter()), Some(61.0));
        assert_eq!(Better::Lower.best(std::iter::empty()), None);
    }

    #[test]
    fn a_bar_is_met_when_touched() {
        assert!(Better::Lower.meets(0.6, 0.6) && Better::Higher.meets(1.5, 1.5));
        assert!(!Better::Lower.meets(0.61, 0.6) && !Better::Higher.meets(1.49, 1.5));
    }
}
