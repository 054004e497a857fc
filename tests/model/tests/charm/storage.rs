//! Data on storage: kept when units go, found again by those that come.

use std::path::Path;

use model::Options;

use super::common::{APP, Etcd};

/// One unit with storage goes, and another one goes on with its data.
pub fn one_unit() {
    let etcd = on_storage(1);
    let location = etcd.model.storage_location("data/0").unwrap();
    assert!(location.join("quorate/member").is_dir(), "the data are on the storage");
    assert!(!etcd.data_dir("etcd/0").join("member").exists());
    etcd.store().put("key", "value");
    let cluster = etcd.peer_bag(APP)["cluster-id"].clone();

    etcd.model.remove_unit("etcd/0").unwrap();
    etcd.model.drain().unwrap();
    assert!(etcd.units().is_empty());
    let unit = etcd.model.add_unit_with_storage(APP, "data/0").unwrap();
    assert_eq!(unit, "etcd/1");
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
    assert_eq!(etcd.peer_bag(APP)["cluster-id"], cluster, "it is the same cluster");
    etcd.store().put("key", "and on");
}

/// Three units go one after another, and three come back with their storages, in any order.
pub fn to_zero_and_back() {
    let etcd = on_storage(3);
    etcd.store().put("key", "value");
    let cluster = etcd.peer_bag(APP)["cluster-id"].clone();
    for unit in ["etcd/0", "etcd/1", "etcd/2"] {
        etcd.model.remove_unit(unit).unwrap();
        etcd.settle("the unit has gone", |etcd| {
            !etcd.units().contains(&unit.to_owned())
                && (etcd.units().is_empty() || etcd.what_is_wrong().is_none())
        });
    }
    assert!(etcd.units().is_empty());
    comes_back(&etcd, &["data/0", "data/2", "data/1"], &cluster);
}

/// All units are removed at once.
pub fn all_at_once() {
    let etcd = on_storage(3);
    etcd.store().put("key", "value");
    let cluster = etcd.peer_bag(APP)["cluster-id"].clone();
    for unit in etcd.units() {
        etcd.model.remove_unit(&unit).unwrap();
    }
    etcd.settle("all units have gone", |etcd| etcd.units().is_empty());
    comes_back(&etcd, &["data/1", "data/0", "data/2"], &cluster);
}

/// New units take the storages over; what was written is there, and nothing else of the old ones.
fn comes_back(etcd: &Etcd, storages: &[&str], cluster: &str) {
    let kept = etcd.model.storages();
    assert!(kept.values().all(Option::is_none), "{kept:?}");
    for storage in storages {
        etcd.model.add_unit_with_storage(APP, storage).unwrap();
    }
    etcd.becomes_healthy();
    assert_eq!(etcd.units(), ["etcd/3", "etcd/4", "etcd/5"]);
    assert_eq!(etcd.peer_bag(APP)["cluster-id"], cluster, "it is the same cluster");
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 3]);
    for unit in etcd.units() {
        assert!(!etcd.data_dir(&unit).join("member").exists(), "{unit} has its data on storage");
    }
}

/// One of three goes and its storage comes back with a new unit: what it had is put aside, not lost.
pub fn one_of_three() {
    let etcd = on_storage(3);
    etcd.store().put("key", "value");
    etcd.model.remove_unit("etcd/1").unwrap();
    etcd.settle("the unit has gone", |etcd| {
        etcd.units().len() == 2 && etcd.what_is_wrong().is_none()
    });
    etcd.store().put("key", "newer");
    etcd.model.add_unit_with_storage(APP, "data/1").unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("newer".to_owned()); 3]);
    let location = etcd.model.storage_location("data/1").unwrap();
    assert!(has_archive(&location.join("quorate")), "the old data are put aside");
}

/// New units beside kept storage cannot know the data: they say so, and storage mends it.
pub fn forgotten() {
    let etcd = on_storage(1);
    etcd.store().put("key", "value");
    etcd.model.remove_unit("etcd/0").unwrap();
    etcd.model.drain().unwrap();
    etcd.model.add_units(APP, 1, &[]).unwrap();
    etcd.settle("the unit asks for the storage", |etcd| {
        let shown = &etcd.model.status().units["etcd/1"].status;
        shown.status == "blocked" && shown.message.contains("--attach-storage")
    });
    etcd.model.add_unit_with_storage(APP, "data/0").unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("key"), vec![Some("value".to_owned()); 2]);
}

fn on_storage(count: u32) -> Etcd {
    let options = Options { seed: 51, is_parallel: true, ..Options::default() };
    let etcd = Etcd::deployed_as(options, count, &[], &["data"]);
    etcd.becomes_healthy();
    etcd
}

fn has_archive(dir: &Path) -> bool {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    entries.into_iter().any(|entry| entry.file_name().to_string_lossy().contains(".old-"))
        || dir.parent().is_some_and(|parent| {
            let beside = std::fs::read_dir(parent).unwrap().flatten();
            beside.into_iter().any(|entry| entry.file_name().to_string_lossy().contains(".old-"))
        })
}
