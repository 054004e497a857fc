//! Growing and shrinking.

use std::collections::BTreeSet;

use crate::common::{APP, Etcd, Load};

/// From one unit to five and back to one, while a client writes: it notices nothing but a change
/// of the raft leader, and everything it wrote is there in the end.
pub fn to_five_and_back() {
    let etcd = Etcd::healthy(11, 1);
    let load = Load::start(etcd.client_urls());
    let mut gone = BTreeSet::new();
    for count in [2, 2] {
        etcd.model.add_units(APP, count, &[]).unwrap();
        etcd.becomes_healthy();
        load.use_members(etcd.client_urls());
    }
    for leavers in [["etcd/4", "etcd/1"], ["etcd/0", "etcd/3"]] {
        gone.extend(leavers.map(|unit| etcd.client_url(unit)));
        remove(&etcd, &leavers);
        load.use_members(etcd.client_urls());
    }
    assert_eq!(etcd.units(), ["etcd/2"]);
    let report = load.end();
    report.must_explain_all(&gone);
    has_all(&etcd, report.acknowledged);
}

/// The unit that holds Juju's lease is removed like any other.
pub fn without_juju_leader() {
    let etcd = Etcd::healthy(12, 3);
    etcd.store().put("before", "kept");
    remove(&etcd, &[&etcd.juju_leader()]);
    assert_eq!(etcd.store().get_everywhere("before"), vec![Some("kept".to_owned()); 2]);
}

/// The member that leads hands over before it goes.
pub fn without_raft_leader() {
    let etcd = Etcd::healthy(13, 3);
    let load = Load::start(etcd.client_urls());
    let leader = etcd.raft_leader();
    let gone = BTreeSet::from([etcd.client_url(&leader)]);
    remove(&etcd, &[&leader]);
    let report = load.end();
    report.must_explain_all(&gone);
    has_all(&etcd, report.acknowledged);
}

/// `juju remove-unit` of several units at once, until they are gone and the others are well.
fn remove(etcd: &Etcd, units: &[&str]) {
    for unit in units {
        etcd.model.remove_unit(unit).unwrap();
    }
    etcd.settle("the removed units are gone", |etcd| {
        !etcd.units().iter().any(|unit| units.contains(&unit.as_str()))
    });
    etcd.becomes_healthy();
}

fn has_all(etcd: &Etcd, count: usize) {
    let store = etcd.store();
    let missing: Vec<usize> = (0..count)
        .filter(|number| store.get(&format!("load/{number}")) != Some(number.to_string()))
        .collect();
    assert!(missing.is_empty(), "acknowledged and lost: {missing:?}");
}
