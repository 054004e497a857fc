//! Juju's lease moves while the cluster is founded: there is one cluster in the end.

use model::{Fault, FaultKind, Options};

use crate::common::{APP, Etcd, is_extended};

/// Points of the founding that a run looks at unless it is extended.
const POINTS: usize = 4;
/// Hooks after the founding in which the others join.
const HOOKS_AFTER: usize = 8;
/// Hooks after which a first deploy of three units is over for sure.
const HOOKS_MAX: usize = 60;

/// In the middle of leader-elected, where the founder is named: after each call of a tool.
pub fn in_the_middle_of_leader_elected() {
    let calls = calls_of_leader_elected();
    assert!(calls > 5, "leader-elected calls {calls} tools: nothing to be in the middle of");
    for after_tool_calls in sample(calls + 1) {
        let etcd = deployed();
        let (leader, next) = leader_and_next(&etcd);
        etcd.model.inject(Fault {
            unit: leader,
            hook: Some("leader-elected".into()),
            after_tool_calls: u32::try_from(after_tool_calls).unwrap(),
            what: FaultKind::MoveLeader(next),
        });
        becomes_one_cluster(&etcd, &format!("moved after {after_tool_calls} calls"));
    }
}

/// Between any two hooks, once.
pub fn between_hooks() {
    for hooks in sample(hooks_until_formed()) {
        let etcd = deployed();
        for _ in 0..hooks {
            etcd.model.step();
        }
        etcd.model.move_leader(&leader_and_next(&etcd).1).unwrap();
        becomes_one_cluster(&etcd, &format!("moved after {hooks} hooks"));
    }
}

/// After every hook, round and round.
pub fn after_every_hook() {
    let etcd = deployed();
    for _ in 0..HOOKS_MAX {
        etcd.model.move_leader(&leader_and_next(&etcd).1).unwrap();
        etcd.model.step();
    }
    becomes_one_cluster(&etcd, "moved after every hook");
}

/// The unit that founds the cluster is removed while it does: another one founds it, or the others
/// join it before it goes. In the end there are two members and one cluster.
pub fn founder_removed() {
    let formed = hooks_until_formed();
    for hooks in sample(formed + HOOKS_AFTER) {
        // A leaver waits for others while their hooks run.
        let options = Options { seed: 22, is_parallel: true, ..Options::default() };
        let etcd = Etcd::deployed_as(options, 3, &[], &[]);
        let founder = etcd.eventually("a founder and that many hooks", || {
            etcd.model.step();
            let founder = etcd.peer_bag(APP).get("founder").cloned();
            founder.filter(|_| etcd.model.journal().len() >= hooks)
        });
        etcd.model.remove_unit(&founder).unwrap();
        becomes_one_cluster(&etcd, &format!("founder removed after {hooks} hooks"));
        assert_eq!(etcd.units().len(), 2);
        etcd.store().put("k", "v");
    }
}

/// One hook at a time, so that a point means the same in every run.
fn deployed() -> Etcd {
    Etcd::deployed_as(Options { seed: 21, ..Options::default() }, 3, &[], &[])
}

fn leader_and_next(etcd: &Etcd) -> (String, String) {
    let leader = etcd.juju_leader();
    let units = etcd.units();
    let place = units.iter().position(|unit| *unit == leader).unwrap();
    (leader, units[(place + 1) % units.len()].clone())
}

/// A refused commit is what Juju does to a hook that lost the lease: the hook is run again.
fn becomes_one_cluster(etcd: &Etcd, what: &str) {
    eprintln!("{what}");
    etcd.settle(&format!("{what}: one cluster"), |etcd| {
        let is_dying = |unit: &model::UnitStatus| unit.is_dying;
        !etcd.model.status().units.values().any(is_dying) && etcd.what_is_wrong().is_none()
    });
    etcd.hooks_were_only_refused();
}

fn calls_of_leader_elected() -> usize {
    let etcd = deployed();
    for _ in 0..HOOKS_MAX {
        etcd.model.step();
        let journal = etcd.model.journal();
        if let Some(entry) = journal.iter().find(|entry| entry.hook == "leader-elected") {
            return entry.tool_calls as usize;
        }
    }
    panic!("no leader-elected within {HOOKS_MAX} hooks");
}

fn hooks_until_formed() -> usize {
    let etcd = deployed();
    for hooks in 1..=HOOKS_MAX {
        etcd.model.step();
        if etcd.peer_bag(APP).contains_key("cluster-id") {
            return hooks;
        }
    }
    panic!("no cluster within {HOOKS_MAX} hooks");
}

/// All points of an extended run, evenly spread ones otherwise.
fn sample(count: usize) -> Vec<usize> {
    if is_extended() || count <= POINTS {
        return (0..count).collect();
    }
    (0..POINTS).map(|number| number * (count - 1) / (POINTS - 1)).collect()
}
