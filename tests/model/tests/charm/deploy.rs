//! From `juju deploy` to a healthy cluster.

use crate::common::Etcd;

/// A lone unit founds the cluster and shows it.
pub fn one() {
    let etcd = Etcd::healthy(1, 1);
    etcd.store().put("greeting", "hello");
    assert_eq!(etcd.store().get("greeting").as_deref(), Some("hello"));
    let status = etcd.model.status();
    assert_eq!(status.units["etcd/0"].ports, ["2379/tcp"]);
    assert!(!status.apps["etcd"].version.is_empty(), "no workload version");
    assert_eq!(etcd.member_names("etcd/0"), ["etcd-0"]);
}

/// All units of a deploy find each other.
pub fn three() {
    let etcd = Etcd::healthy(2, 3);
    etcd.store().put("greeting", "hello");
    assert_eq!(etcd.store().get_everywhere("greeting"), vec![Some("hello".to_owned()); 3]);
}

/// Units that come later get what was written before them.
pub fn two_added() {
    let etcd = Etcd::healthy(3, 1);
    etcd.store().put("before", "kept");
    etcd.model.add_units("etcd", 2, &[]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(etcd.store().get_everywhere("before"), vec![Some("kept".to_owned()); 3]);
}
