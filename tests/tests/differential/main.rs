//! Random sequences of requests on real etcd and on ours: every answer must be equal.
//!
//! Each case is one seed on a fresh single member of either. What is known to differ:
//!
//! - taken out in `plain`: identities, terms, lease ids the server chose, seconds passed, the order
//!   of a lease's keys (a hash map in etcd), the reason of an empty watch range and the header of a
//!   compacted start (both changed with 3.6);
//! - taken out in `watches`: at exactly the compacted revision, deletions (kept since 3.4.34 and
//!   3.5.16) and previous versions (ours has them as long as they are in memory); the id of a
//!   watcher with a compacted start, which etcd keeps until the client cancels too;
//! - never asked for in `generate`: watchers with a negative start and unknown sort orders (changed
//!   with 3.6, the `wire` suite has them), puts with two faults in one transaction (the order of the
//!   checks changed with 3.6), puts that etcd dies of, more keys than Go sorts stably.
//!
//! `QUORATE_DIFFERENTIAL_SEEDS` is `first..last` or one number, `QUORATE_DIFFERENTIAL_STEPS` the
//! length of each sequence. A seed that fails prints the shortest sequence found that still does;
//! its number replays it.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod generate;
mod leases;
mod plain;
mod run;
mod side;
mod step;
mod watches;

use std::ops::RangeInclusive;
use std::process::{Command, ExitCode};

use quorate_tests::{Server, Suite};

use generate::Generator;
use run::{Source, run, shrink};

/// What runs when nothing is asked for.
const SEEDS: RangeInclusive<u64> = 1..=10;
/// Steps of each sequence.
const STEPS: usize = 300;

fn main() -> ExitCode {
    let steps = number("QUORATE_DIFFERENTIAL_STEPS").map_or(STEPS, |steps| steps as usize);
    let reference = Server::references().into_iter().max_by_key(|server| server.version);
    let missing = reference.is_none().then(|| "no real etcd to compare with".to_owned());
    let mut suite = Suite::new();
    for seed in seeds() {
        let reference = reference.clone();
        suite.on_ours(&format!("seed_{seed:03}"), missing.clone(), move |ours| async move {
            let reference = reference.expect("skipped without a reference");
            compare(&reference, &ours, seed, steps).await;
        });
    }
    suite.main()
}

async fn compare(reference: &Server, ours: &Server, seed: u64, steps: usize) {
    let generator = Generator::new(seed, stable_rows(reference));
    let source = Source::Random(Box::new(generator), steps);
    let Err(difference) = run(reference, ours, source).await else { return };
    let label = reference.label();
    eprintln!("seed {seed} differs from {label}; shortening the sequence\n{difference}");
    let difference = shrink(reference, ours, difference).await;
    panic!("seed {seed} differs from {label}\n{difference}");
}

/// How many rows the reference sorts without changing the order of those that are equal: etcd
/// leaves that to Go, which changed it with 1.19. With more, a limit may cut different ones off.
fn stable_rows(reference: &Server) -> usize {
    let output =
        Command::new(&reference.path).arg("--version").output().expect("it has run before");
    let text = String::from_utf8_lossy(&output.stdout);
    let minor = text
        .split("Go Version: go1.")
        .nth(1)
        .and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u32>().ok());
    if minor.is_some_and(|minor| minor >= 19) { 12 } else { 6 }
}

fn seeds() -> RangeInclusive<u64> {
    let Ok(text) = std::env::var("QUORATE_DIFFERENTIAL_SEEDS") else { return SEEDS };
    let parse = |text: &str| text.trim().parse().expect("QUORATE_DIFFERENTIAL_SEEDS: a number");
    match text.split_once("..") {
        Some((first, last)) => parse(first)..=parse(last),
        None => parse(&text)..=parse(&text),
    }
}

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}: a number, not {text:?}")))
}
