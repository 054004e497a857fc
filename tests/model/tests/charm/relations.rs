//! What related applications find, and what becomes of it when members come and go.

use std::collections::BTreeMap;

use quorate_tests::{WebRequest, fetch};
use serde_json::Value;

use super::common::{APP, Etcd, Store};

/// A consumer's unit reaches the cluster by nothing but the text it finds in the relation, as an
/// etcd proxy does: it asks a member's peer address for the members, then the members.
pub fn proxy() {
    let etcd = Etcd::healthy(41, 3);
    etcd.store().put("key", "value");
    etcd.model.deploy_consumer("app", 2).unwrap();
    etcd.model.relate("app:etcd", "etcd:proxy").unwrap();
    every_unit_publishes(&etcd, 3);
    assert_eq!(read_through(&cluster_text(&etcd, "etcd/0"), "key").as_deref(), Some("value"));

    etcd.model.add_units(APP, 2, &[]).unwrap();
    every_unit_publishes(&etcd, 5);
    etcd.model.remove_unit("etcd/0").unwrap();
    etcd.model.remove_unit("etcd/1").unwrap();
    every_unit_publishes(&etcd, 3);
    let text = cluster_text(&etcd, "etcd/4");
    assert!(!text.contains("etcd-0=") && text.contains("etcd-4="), "{text}");
    assert_eq!(read_through(&text, "key").as_deref(), Some("value"));
    let outcome = etcd.model.run_action("etcd/4", "cluster-string", &Value::Null).unwrap();
    assert_eq!(outcome.results["proxy"], text, "the action shows what is published");
    etcd.hooks_never_failed();
}

/// `client` tells where each unit is, `db` where the cluster is.
pub fn client_and_db() {
    let etcd = Etcd::deployed(42, 2);
    etcd.model.deploy_consumer("app", 1).unwrap();
    etcd.model.deploy_consumer("other", 1).unwrap();
    etcd.model.relate("app:etcd", "etcd:client").unwrap();
    etcd.model.relate("other:db", "etcd:db").unwrap();
    etcd.becomes_healthy();
    etcd.settle("both endpoints are published", |etcd| {
        let has = |endpoint: &str, key: &str| {
            let keys = |unit: &String| etcd.model.databag(endpoint, unit).contains_key(key);
            etcd.units().iter().all(keys)
        };
        has("etcd:client", "port") && has("etcd:db", "connection_string")
    });
    is_told(&etcd, 2379);
    let text = etcd.model.databag("etcd:db", "etcd/1")["connection_string"].clone();
    let urls: Vec<String> = text.split(',').map(str::to_owned).collect();
    Store::new(&urls).put("key", "through db");
    assert_eq!(etcd.store().get("key").as_deref(), Some("through db"));

    etcd.model.set_config(APP, &[("port", "4001")]).unwrap();
    etcd.settle("the new port is published", |etcd| {
        let is_new = |unit: &String| {
            let db = etcd.model.databag("etcd:db", unit);
            db["connection_string"].matches(":4001").count() == 2
                && etcd.model.databag("etcd:client", unit)["port"] == "4001"
        };
        etcd.units().iter().all(is_new)
    });
    is_told(&etcd, 4001);
    etcd.hooks_never_failed();
}

/// What is in the databags of `client` and `db`, for a cluster with this port.
fn is_told(etcd: &Etcd, port: u16) {
    let urls: Vec<String> =
        etcd.client_urls().iter().map(|url| url.replace(":2379", &format!(":{port}"))).collect();
    for unit in etcd.units() {
        let address = etcd.model.address(&unit).unwrap().to_string();
        let of_client = own_keys(etcd, "etcd:client", &unit);
        let expected = [
            ("hostname", address.clone()),
            ("port", port.to_string()),
            ("public_hostname", address),
        ];
        let expected: BTreeMap<String, String> =
            expected.into_iter().map(|(key, text)| (key.to_owned(), text)).collect();
        assert_eq!(of_client, expected, "{unit}");
        let of_db = own_keys(etcd, "etcd:db", &unit);
        assert_eq!(of_db["connection_string"], urls.join(","), "{unit}");
        assert!(of_db.contains_key("version") && of_db.len() == 2, "{of_db:?}");
    }
}

/// A relation that ends leaves nothing behind and disturbs nobody; it can be made again.
pub fn broken() {
    let etcd = Etcd::healthy(43, 2);
    etcd.model.deploy_consumer("app", 1).unwrap();
    for endpoint in ["client", "db", "proxy"] {
        let relation = etcd.model.relate("app:etcd", &format!("etcd:{endpoint}")).unwrap();
        etcd.model.drain().unwrap();
        let of_consumer = format!("etcd:{endpoint}");
        assert!(etcd.model.related_units(&of_consumer).contains(&"etcd/0".to_owned()));
        etcd.model.remove_relation(relation).unwrap();
        etcd.model.drain().unwrap();
        let broken = format!("{endpoint}-relation-broken");
        for unit in etcd.units() {
            assert!(etcd.model.hooks(&unit).contains(&broken), "{unit}: {broken}");
        }
        assert!(etcd.model.related_units(&of_consumer).is_empty());
        assert!(etcd.model.databag(&of_consumer, "etcd/0").is_empty());
        assert_eq!(etcd.what_is_wrong(), None);
    }
    etcd.model.relate("app:etcd", "etcd:proxy").unwrap();
    every_unit_publishes(&etcd, 2);
    etcd.model.remove_app("app").unwrap();
    etcd.becomes_healthy();
}

/// Waits until every unit publishes the same `count` members: those there are.
fn every_unit_publishes(etcd: &Etcd, count: usize) {
    etcd.settle("every unit publishes the members", |etcd| {
        let units = etcd.units();
        let url = |unit: &String| {
            let address = etcd.model.address(unit).unwrap();
            format!("{}=http://{address}:2380", unit.replace('/', "-"))
        };
        let expected = units.iter().map(url).collect::<Vec<_>>().join(",");
        let publishes = |unit: &String| cluster_text(etcd, unit) == expected;
        units.len() == count && units.iter().all(publishes) && etcd.what_is_wrong().is_none()
    });
}

fn cluster_text(etcd: &Etcd, unit: &str) -> String {
    etcd.model.databag("etcd:proxy", unit).get("cluster").cloned().unwrap_or_default()
}

/// Reads a key, knowing nothing but `name=peer-url,...`.
fn read_through(text: &str, key: &str) -> Option<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut found = Vec::new();
    for pair in text.split(',') {
        let (name, url) = pair.split_once('=').unwrap();
        let address = url.strip_prefix("http://").unwrap();
        let page = runtime.block_on(fetch(WebRequest::get(address, "/members"))).unwrap();
        assert_eq!(page.status, 200, "{name}: {}", page.body);
        assert_eq!(page.headers["x-etcd-cluster-id"].len(), 16, "{name}");
        let members: Value = serde_json::from_str(&page.body).unwrap();
        let own = |member: &&Value| member["name"] == name && member["peerURLs"][0] == url;
        let members = members.as_array().unwrap();
        assert!(members.iter().any(|member| own(&member)), "{name} is not in {}", page.body);
        found.push(members.clone());
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]), "they differ: {found:?}");
    let urls: Vec<String> = found[0]
        .iter()
        .map(|member| member["clientURLs"][0].as_str().unwrap().to_owned())
        .collect();
    Store::new(&urls).get(key)
}

/// A unit's databag without what Juju itself writes.
fn own_keys(etcd: &Etcd, endpoint: &str, unit: &str) -> BTreeMap<String, String> {
    let mut bag = etcd.model.databag(endpoint, unit);
    bag.retain(|key, _| {
        !["egress-subnets", "ingress-address", "private-address"].contains(&key.as_str())
    });
    bag.into_iter().collect()
}
