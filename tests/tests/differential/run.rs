//! A sequence on both servers, step by step, until they differ; and a shorter one that still does.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use quorate_tests::{Server, readable_diff};

use crate::generate::{Generator, Now};
use crate::side::Side;
use crate::step::{Step, terse};

/// Steps between two looks at the watchers.
const SETTLE_EVERY: usize = 40;
/// How long a failing sequence is shortened; the runner ends a test after two minutes.
const SHRINK_FOR: Duration = Duration::from_secs(60);

/// Where the steps come from.
pub enum Source {
    /// So many random ones.
    Random(Box<Generator>, usize),
    /// These.
    Listed(Vec<Step>),
}

impl Source {
    fn step(&mut self, at: usize, now: &Now) -> Option<Step> {
        match self {
            Self::Random(_, steps) if at >= *steps => None,
            Self::Random(..) if at % SETTLE_EVERY == SETTLE_EVERY - 1 => Some(Step::Settle),
            Self::Random(generator, _) => Some(generator.step(now)),
            Self::Listed(steps) => steps.get(at).cloned(),
        }
    }
}

/// Two answers that should have been equal.
#[derive(Debug)]
pub struct Difference {
    /// What led to it, each step with the revisions it took.
    steps: Vec<(Step, i64)>,
    what: String,
    expected: String,
    actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (step, _)) in self.steps.iter().enumerate() {
            writeln!(f, "{number:4} {step}")?;
        }
        writeln!(f, "{}: - is the reference, + is ours", self.what)?;
        f.write_str(&readable_diff(&terse(&self.expected), &terse(&self.actual)))
    }
}

/// Runs the steps on two fresh members.
pub async fn run(reference: &Server, ours: &Server, mut source: Source) -> Result<(), Difference> {
    let (reference, ours) = tokio::join!(Side::start(reference), Side::start(ours));
    let mut pair = Pair { reference, ours, now: Now { revision: 1, ..Now::default() } };
    let mut steps = Vec::new();
    while let Some(step) = source.step(steps.len(), &pair.now) {
        let before = pair.now.revision;
        let outcome = pair.take(&step).await;
        steps.push((step, pair.now.revision - before));
        outcome.map_err(|differ| differ.after(&steps))?;
    }
    pair.finish().await.map_err(|differ| differ.after(&steps))
}

struct Differ {
    what: &'static str,
    expected: String,
    actual: String,
}

impl Differ {
    fn after(self, steps: &[(Step, i64)]) -> Difference {
        let Self { what, expected, actual } = self;
        Difference { steps: steps.to_vec(), what: what.to_owned(), expected, actual }
    }
}

fn same(what: &'static str, expected: String, actual: String) -> Result<(), Differ> {
    if expected == actual { Ok(()) } else { Err(Differ { what, expected, actual }) }
}

struct Pair {
    reference: Side,
    ours: Side,
    now: Now,
}

impl Pair {
    async fn take(&mut self, step: &Step) -> Result<(), Differ> {
        // Whether a watcher is overtaken by a compaction or by its end must not be chance.
        if matches!(step, Step::Settle | Step::Compact(_) | Step::CancelWatch(..)) {
            self.settle().await?;
        }
        let compacted = self.now.compacted;
        let (expected, actual) =
            tokio::join!(self.reference.take(step, compacted), self.ours.take(step, compacted));
        self.observe(step, &expected);
        same("the last answer", expected, actual)
    }

    /// Follows the reference.
    fn observe(&mut self, step: &Step, answer: &str) {
        let done = !answer.contains(": etcdserver:");
        match step {
            Step::Compact(compact) if done => self.now.compacted = compact.revision,
            Step::Grant(grant) if done && grant.id == 0 => self.now.leases_chosen += 1,
            _ => {}
        }
        if let Some(revision) = Side::revision_in(answer) {
            self.now.revision = self.now.revision.max(revision);
        }
    }

    async fn settle(&mut self) -> Result<(), Differ> {
        let (expected, actual) = tokio::join!(self.reference.settle(), self.ours.settle());
        if let (Ok(revision), true) = (&expected, expected == actual) {
            self.now.revision = *revision;
            return Ok(());
        }
        // Also when both fail alike: that is the suite's own fault, but no agreement.
        let (expected, actual) = (format!("{expected:?}"), format!("{actual:?}"));
        Err(Differ { what: "what watchers wait for", expected, actual })
    }

    async fn finish(&mut self) -> Result<(), Differ> {
        self.settle().await?;
        tokio::join!(self.reference.finish(), self.ours.finish());
        same("all events", self.reference.journal(), self.ours.journal())?;
        same("what watchers saw", self.reference.watched(), self.ours.watched())
    }
}

/// Leaves out steps as long as the difference stays, in ever smaller pieces: first with marks in
/// their place, so that later steps still name the revisions they meant, then altogether.
pub async fn shrink(reference: &Server, ours: &Server, first: Difference) -> Difference {
    let deadline = Instant::now() + SHRINK_FOR;
    let mut best = first;
    for marked in [true, false] {
        let mut piece = best.steps.len() / 2;
        while piece > 0 {
            let mut at = 0;
            while at + piece <= best.steps.len() && Instant::now() < deadline {
                let left_out = at..at + piece;
                at = left_out.end;
                if marked && is_marks(&best.steps[left_out.clone()]) {
                    continue;
                }
                let steps = without(&best.steps, left_out.clone(), marked);
                if let Err(shorter) = run(reference, ours, Source::Listed(steps)).await {
                    best = shorter;
                    at = left_out.start;
                }
            }
            piece /= 2;
        }
    }
    best
}

fn is_marks(steps: &[(Step, i64)]) -> bool {
    steps.iter().all(|(step, _)| *step == Step::Mark)
}

/// The steps without some of them.
fn without(steps: &[(Step, i64)], left_out: Range<usize>, marked: bool) -> Vec<Step> {
    let marks: i64 = steps[left_out.clone()].iter().map(|(_, taken)| taken).sum();
    let marks = if marked { usize::try_from(marks).unwrap_or(0) } else { 0 };
    let before = steps[..left_out.start].iter().map(|(step, _)| step.clone());
    let after = steps[left_out.end..].iter().map(|(step, _)| step.clone());
    before.chain(std::iter::repeat_n(Step::Mark, marks)).chain(after).collect()
}
