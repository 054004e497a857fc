//! Machines that lose power and hooks that are killed.

use model::{End, Fault, FaultKind};

use crate::common::{Etcd, is_extended};

/// Places in a hook that a run kills it at unless it is extended: every one of these.
const PLACES: [u32; 5] = [1, 6, 13, 19, 25];
/// Places of an extended run. No hook calls more tools than that.
const PLACES_MAX: u32 = 60;

/// The raft leader's machine loses power: the others take over, the unit is removed by force, and
/// the Juju leader takes its member out.
pub fn dead_raft_leader() {
    let etcd = Etcd::healthy(31, 3);
    let dead = etcd.raft_leader();
    dead_unit(&etcd, &dead);
}

/// The same with the machine of the Juju leader: another unit is elected and does it.
pub fn dead_juju_leader() {
    let etcd = Etcd::healthy(32, 3);
    let dead = etcd.juju_leader();
    dead_unit(&etcd, &dead);
}

fn dead_unit(etcd: &Etcd, dead: &str) {
    etcd.store().put("before", "kept");
    etcd.model.kill_machine(dead).unwrap();
    let (others, store) = (etcd.others(dead), etcd.store_of(&etcd.others(dead)));
    store.put("during", "taken");
    etcd.settle("the others are active", |etcd| {
        let status = etcd.model.status();
        others.iter().all(|unit| status.units[unit].status.status == "active")
    });
    let name = dead.replace('/', "-");
    assert!(etcd.member_names(&others[0]).contains(&name), "removed without anybody's word");
    etcd.model.force_remove_unit(dead).unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("before"), vec![Some("kept".to_owned()); 2]);
    assert_eq!(etcd.store().get_everywhere("during"), vec![Some("taken".to_owned()); 2]);
}

/// Power comes back: the member goes on with its data, and nobody has removed it.
pub fn power_comes_back() {
    let etcd = Etcd::healthy(33, 3);
    let away = etcd.raft_leader();
    let member = etcd.agent(&away).unwrap()["member_id"].clone();
    etcd.model.kill_machine(&away).unwrap();
    etcd.store_of(&etcd.others(&away)).put("during", "taken");
    etcd.model.start_machine(&away).unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.agent(&away).unwrap()["member_id"], member);
    assert_eq!(etcd.store().get_everywhere("during"), vec![Some("taken".to_owned()); 3]);
}

/// All machines lose power at once, and come back.
pub fn power_fails_everywhere() {
    let etcd = Etcd::healthy(34, 3);
    etcd.store().put("before", "kept");
    for unit in etcd.units() {
        etcd.model.kill_machine(&unit).unwrap();
    }
    for unit in etcd.units() {
        etcd.model.start_machine(&unit).unwrap();
    }
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("before"), vec![Some("kept".to_owned()); 3]);
}

/// Every hook of a first deploy is killed once, at the same place, and run again. Leaving as well.
pub fn killed_hooks(place: u32) {
    let etcd = Etcd::deployed(35 + u64::from(place), 3);
    for unit in etcd.units() {
        kill_each(&etcd, &unit, HOOKS_OF_DEPLOY, place);
    }
    etcd.settle("one cluster although hooks were killed", |etcd| etcd.what_is_wrong().is_none());
    let leaver = etcd.raft_leader();
    kill_each(&etcd, &leaver, HOOKS_OF_LEAVING, place);
    etcd.model.remove_unit(&leaver).unwrap();
    etcd.settle("two members although hooks were killed", |etcd| {
        etcd.units().len() == 2 && etcd.what_is_wrong().is_none()
    });
    only_killed(&etcd, place);
}

/// Where [`killed_hooks`] kills: everywhere in an extended run.
pub fn places() -> Vec<u32> {
    if is_extended() { (0..PLACES_MAX).collect() } else { PLACES.to_vec() }
}

const HOOKS_OF_DEPLOY: &[&str] = &[
    "install",
    "cluster-relation-created",
    "leader-elected",
    "config-changed",
    "start",
    "cluster-relation-joined",
    "cluster-relation-changed",
    "update-status",
];
const HOOKS_OF_LEAVING: &[&str] = &["cluster-relation-departed", "stop", "remove"];

fn kill_each(etcd: &Etcd, unit: &str, hooks: &[&str], place: u32) {
    for hook in hooks {
        etcd.model.inject(Fault {
            unit: unit.into(),
            hook: Some((*hook).into()),
            after_tool_calls: place,
            what: FaultKind::KillHook,
        });
    }
}

/// What failed was killed by us, and an early place is one that every hook reaches.
fn only_killed(etcd: &Etcd, place: u32) {
    let mut killed = 0;
    for entry in etcd.model.journal() {
        match &entry.end {
            End::Failed(why) if why.contains("kill") => killed += 1,
            End::Failed(_) | End::Refused(_) => panic!("a hook failed: {entry}\n{}", entry.output),
            End::Done | End::Missing => {}
        }
    }
    assert!(place > PLACES[0] || killed > 10, "only {killed} hooks were killed");
    assert!(is_extended() || killed > 0, "no hook was killed at call {place}");
}
