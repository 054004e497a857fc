//! The leader of three dies at once: how long no write is acknowledged.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;
use tokio::time::{interval, timeout};

use crate::compare::bars::Bar;
use crate::compare::client::block_on;
use crate::compare::cluster::Cluster;
use crate::compare::footprint::Values;
use crate::compare::options::Bench;
use crate::compare::outcome::Outcome;
use crate::load::requests;
use crate::wire::{Channel, Keep, Method};

const NO_WORSE: Option<Bar> = Some(Bar::new(1.0, 1.0));

/// A put is sent this often, to the endpoints in turns, whatever became of the ones before:
/// a client that waits for a lost answer would measure its own time limit.
const PROBE_EVERY: Duration = Duration::from_millis(10);

/// A put without an answer is given up; this also bounds how many are under way.
const PROBE_MAX: Duration = Duration::from_secs(3);

/// Puts go on this long before the kill and after the first one that succeeds again.
const AROUND: Duration = Duration::from_millis(500);

/// A cluster that takes no writes for this long has failed.
const GAP_MAX: Duration = Duration::from_secs(60);

/// Acknowledged puts: when.
type Acknowledged = Rc<RefCell<Vec<Instant>>>;

/// Kills the leader of each server's cluster once per repeat.
///
/// # Errors
/// When a cluster does not take writes again.
pub fn run(bench: &Bench, members: usize, outcome: &mut Outcome) -> Result<()> {
    if members < 3 || !bench.options.wants("failover") {
        return Ok(());
    }
    let mut gaps = Values::new();
    for server in &bench.servers {
        let kind = server.kind;
        bench.say(format!("{members} x {}: killing leaders", kind.label()));
        let (mut cluster, _) = Cluster::start(bench, server, members)?;
        for _ in 0..bench.options.repeats() {
            let endpoints = cluster.endpoints()?;
            let kill = cluster.killer(&endpoints[0])?;
            let gap = block_on(longest_gap(&endpoints, kill))?;
            let gap = gap.with_context(|| format!("{} lost its leader", kind.label()))?;
            gaps.entry(kind).or_default().push(gap.as_secs_f64() * 1e3);
            cluster.start_members()?;
        }
    }
    outcome.add(members, "SIGKILL of the leader", "without a write, ms", gaps, NO_WORSE);
    Ok(())
}

/// The longest time between two acknowledged puts around the kill.
async fn longest_gap(endpoints: &[String], kill: impl FnOnce()) -> Result<Duration> {
    let channels = endpoints.iter().map(|endpoint| Ok(Rc::new(Channel::new(endpoint)?)));
    let channels = channels.collect::<Result<Vec<_>>>()?;
    let acknowledged = Acknowledged::default();
    let mut probes = JoinSet::new();
    let (started, mut ticks) = (Instant::now(), interval(PROBE_EVERY));
    let (mut killed, mut kill) = (None, Some(kill));
    for channel in channels.iter().cycle() {
        ticks.tick().await;
        while probes.try_join_next().is_some() {}
        probes.spawn_local(probe(Rc::clone(channel), Rc::clone(&acknowledged)));
        if started.elapsed() > AROUND
            && let Some(kill) = kill.take()
        {
            kill();
            killed = Some(Instant::now());
        }
        if recovered(killed, &acknowledged.borrow()) || started.elapsed() > GAP_MAX {
            break;
        }
    }
    let killed = killed.filter(|&killed| recovered(Some(killed), &acknowledged.borrow()));
    let killed = killed.with_context(|| format!("no write succeeded within {GAP_MAX:?}"))?;
    Ok(gap_around(killed, &acknowledged.borrow()))
}

async fn probe(channel: Rc<Channel>, acknowledged: Acknowledged) {
    let put = requests::put("failover".into(), "v".into());
    let call = channel.call(Method::Put, put, Keep::Head);
    if matches!(timeout(PROBE_MAX, call).await, Ok(Ok(_))) {
        acknowledged.borrow_mut().push(Instant::now());
    }
}

/// Whether a put succeeded after the kill, and some time has passed since. What the dying leader
/// still acknowledged arrives within moments and must not count as recovery.
fn recovered(killed: Option<Instant>, acknowledged: &[Instant]) -> bool {
    const LAST_WORDS: Duration = Duration::from_millis(20);
    let Some(killed) = killed else { return false };
    let first = acknowledged.iter().find(|&&at| at > killed + LAST_WORDS);
    first.is_some_and(|first| first.elapsed() > AROUND)
}

/// The longest interval between neighbours, from the last one before the kill on.
fn gap_around(killed: Instant, acknowledged: &[Instant]) -> Duration {
    let before = acknowledged.iter().rposition(|&at| at <= killed).unwrap_or(0);
    let neighbours = acknowledged[before..].windows(2);
    neighbours.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, times_ms: &[u64]) -> Vec<Instant> {
        times_ms.iter().map(|&ms| start + Duration::from_millis(ms)).collect()
    }

    #[test]
    fn the_gap_spans_the_kill_and_ignores_what_was_before() {
        let start = Instant::now();
        let times = at(start, &[0, 400, 410, 420, 431, 1700, 1710]);
        let killed = start + Duration::from_millis(425);
        assert_eq!(gap_around(killed, &times), Duration::from_millis(1269));
    }

    #[test]
    fn last_words_of_the_dying_are_no_recovery() {
        let start = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        let killed = Some(start);
        assert!(!recovered(killed, &at(start, &[5])));
        assert!(recovered(killed, &at(start, &[5, 1200])));
        assert!(!recovered(None, &at(start, &[5, 1200])));
    }
}
