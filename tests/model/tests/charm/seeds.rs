//! The life of an application in an order that a seed decides: what is done when, and which unit
//! hears of it first. A seed that fails is a case of its own: run it again by name, or any other
//! one with `QUORATE_SEED`. The seeds take turns with Juju 2.9, 3.6 and 4.0.

use model::{Options, Version};
use serde_json::json;

use crate::common::{APP, Etcd};

/// Seeds of every run.
pub const SEEDS: u64 = 20;
/// Names one more seed.
const VARIABLE: &str = "QUORATE_SEED";
/// Hooks that run at most between two events.
const HOOKS_BETWEEN_MAX: u64 = 20;

/// The seed that was asked for.
pub fn asked() -> Option<u64> {
    std::env::var(VARIABLE).ok()?.parse().ok()
}

/// What a person does, or what happens.
#[derive(Clone, Copy, Debug)]
enum Event {
    AddTwo,
    Configure,
    MoveLeader,
    RemoveOne,
}

/// Deploy 3; then, in any order and from the first hook on, add 2, configure, move the lease; then
/// remove any 2, with the lease moving once more. Hooks of all units run in between.
pub fn life(seed: u64) {
    let mut random = Random(seed);
    let juju = match seed % 3 {
        0 => Version::V3_6,
        1 => Version::V4_0,
        _ => Version::V2_9,
    };
    let etcd = Etcd::deployed_as(Options { seed, juju, ..Options::default() }, 3, &[], &[]);
    let growing = vec![Event::AddTwo, Event::Configure, Event::MoveLeader];
    happen(&etcd, growing, &mut random, seed);
    etcd.settle(&format!("seed {seed}: a majority of five"), has_majority);
    let shrinking = vec![Event::RemoveOne, Event::RemoveOne, Event::MoveLeader];
    happen(&etcd, shrinking, &mut random, seed);
    etcd.settle(&format!("seed {seed}: a healthy cluster of 3"), |etcd| {
        etcd.units().len() == 3 && etcd.what_is_wrong().is_none()
    });
    etcd.hooks_never_failed();
    has_its_option(&etcd);
    is_healthy_by_action(&etcd);
    etcd.store().put("seed", &seed.to_string());
    assert_eq!(etcd.store().get_everywhere("seed"), vec![Some(seed.to_string()); 3]);
}

fn happen(etcd: &Etcd, mut events: Vec<Event>, random: &mut Random, seed: u64) {
    while !events.is_empty() {
        for _ in 0..random.below(HOOKS_BETWEEN_MAX) {
            etcd.model.step();
        }
        let event = events.swap_remove(random.index(events.len()));
        eprintln!("seed {seed}: {event:?} after {} hooks", etcd.model.journal().len());
        happens(etcd, event, random);
        has_one_cluster(etcd, seed);
    }
}

/// Three of the five that are to come have a vote: any two may go.
fn has_majority(etcd: &Etcd) -> bool {
    let votes = |unit: &&String| {
        let told = etcd.agent(unit).unwrap_or_default();
        told["state"] == "member" && told["is_learner"] == false && told["is_ready"] == true
    };
    etcd.units().iter().filter(votes).count() >= 3
}

fn happens(etcd: &Etcd, event: Event, random: &mut Random) {
    let alive: Vec<String> = {
        let status = etcd.model.status();
        etcd.units().into_iter().filter(|unit| !status.units[unit].is_dying).collect()
    };
    let one = &alive[random.index(alive.len())];
    match event {
        Event::AddTwo => drop(etcd.model.add_units(APP, 2, &[]).unwrap()),
        Event::Configure => etcd.model.set_config(APP, &[("heartbeat-interval", "120")]).unwrap(),
        Event::MoveLeader => etcd.model.move_leader(one).unwrap(),
        Event::RemoveOne => etcd.model.remove_unit(one).unwrap(),
    }
}

/// At any moment: whoever is a member is a member of the same cluster.
fn has_one_cluster(etcd: &Etcd, seed: u64) {
    let mut clusters: Vec<_> = etcd
        .units()
        .iter()
        .filter_map(|unit| etcd.agent(unit))
        .filter(|told| told["state"] == "member")
        .map(|told| told["cluster_id"].clone())
        .collect();
    clusters.dedup();
    assert!(clusters.len() <= 1, "seed {seed}: two clusters: {clusters:?}");
}

fn has_its_option(etcd: &Etcd) {
    for unit in etcd.units() {
        let name = unit.replace('/', "-");
        let file = etcd.model.root(&unit).unwrap().join(format!("etc/quorate/{name}/member.env"));
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.contains("ETCD_HEARTBEAT_INTERVAL=\"120\""), "{unit}: {text}");
    }
}

fn is_healthy_by_action(etcd: &Etcd) {
    let unit = &etcd.units()[0];
    let outcome = etcd.model.run_action(unit, "health", &json!({})).unwrap();
    assert_eq!(outcome.status, "completed", "{outcome:?}");
    assert!(outcome.results["result-map.message"].contains("is healthy"), "{outcome:?}");
}

/// Splitmix64: what happens when depends on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.below(count as u64)).unwrap()
    }
}
