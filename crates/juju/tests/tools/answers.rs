//! How answers are read, as Juju of several versions writes them.

use crate::fake::Fake;
use juju::{
    AddressKind, Bag, Error, Port, RelationId, Result, Scope, SecretRef, SecretView, Tools,
    UnitName,
};

/// What `call` makes of a tool that answers `stdout`.
fn reads<T>(tool: &str, stdout: impl AsRef<[u8]>, call: impl FnOnce(&Tools) -> Result<T>) -> T {
    tried(tool, stdout, call).unwrap_or_else(|error| panic!("{error}"))
}

fn tried<T>(
    tool: &str,
    stdout: impl AsRef<[u8]>,
    call: impl FnOnce(&Tools) -> Result<T>,
) -> Result<T> {
    let fake = Fake::new().answering(tool, stdout);
    call(&fake.tools())
}

fn cluster() -> RelationId {
    "cluster:3".parse().unwrap()
}

fn unit(name: &str) -> UnitName {
    name.parse().unwrap()
}

#[test]
fn null_and_nothing_are_empty_everywhere() {
    for nothing in ["null\n", "", "\n"] {
        assert_eq!(reads("config-get", nothing, Tools::config_get).names().count(), 0);
        assert_eq!(reads("action-get", nothing, Tools::action_get).names().count(), 0);
        assert_eq!(reads("relation-ids", nothing, |t| t.relation_ids("x")), []);
        assert_eq!(reads("relation-list", nothing, |t| t.relation_list(&cluster())), []);
        assert_eq!(reads("relation-list", nothing, |t| t.relation_app(&cluster())), None);
        let bag = Bag::Unit(unit("etcd/0"));
        assert!(reads("relation-get", nothing, |t| t.relation_get(&cluster(), &bag)).is_empty());
        assert!(reads("goal-state", nothing, Tools::goal_state).units.is_empty());
        assert_eq!(reads("opened-ports", nothing, Tools::opened_ports), []);
        assert_eq!(reads("storage-list", nothing, |t| t.storage_list(None)), []);
        assert_eq!(reads("secret-ids", nothing, Tools::secret_ids), []);
        assert_eq!(reads("state-get", nothing, |t| t.state_get("x")), None);
        assert!(reads("state-get", nothing, Tools::state_get_all).is_empty());
        assert_eq!(reads("resource-get", "\n", |t| t.resource_get("x")), None);
        assert_eq!(reads("unit-get", nothing, |t| t.unit_get(AddressKind::Public)), None);
        assert_eq!(
            reads("network-get", nothing, |t| t.network_get("x", None)).bind_address(),
            None
        );
    }
}

#[test]
fn nothing_is_no_answer_to_who_leads() {
    assert!(reads("is-leader", "true\n", Tools::is_leader));
    assert!(!reads("is-leader", "false\n", Tools::is_leader));
    for answer in ["null", "", "True", "\"true\""] {
        let error = tried("is-leader", answer, Tools::is_leader).unwrap_err();
        assert!(matches!(error, Error::NotUnderstood { tool: "is-leader", .. }), "{error:?}");
    }
}

#[test]
fn configuration_keeps_its_types() {
    let json = r#"{"port":2379,"bin-source":"","debug":false,"extra-args":"--log-level=debug"}"#;
    let config = reads("config-get", json, Tools::config_get);
    assert_eq!(config.int("port").unwrap(), Some(2379));
    assert_eq!(config.string("bin-source").unwrap(), Some(""));
    assert_eq!(config.bool("debug").unwrap(), Some(false));
    assert_eq!(config.string("absent").unwrap(), None);
}

#[test]
fn relations_and_units_are_checked_names() {
    let ids =
        reads("relation-ids", r#"["cos-agent:1","cos-agent:12"]"#, |t| t.relation_ids("cos-agent"));
    assert_eq!(ids.iter().map(RelationId::number).collect::<Vec<_>>(), [1, 12]);
    let units = reads("relation-list", r#"["etcd/10","etcd/2"]"#, |t| t.relation_list(&cluster()));
    assert_eq!(units, [unit("etcd/10"), unit("etcd/2")]);
    let app = reads("relation-list", r#""my-app""#, |t| t.relation_app(&cluster()));
    assert_eq!(app.as_deref(), Some("my-app"));
    let error = tried("relation-list", r#"["etcd"]"#, |t| t.relation_list(&cluster())).unwrap_err();
    assert!(error.to_string().contains("`etcd` is not the name of a unit"), "{error}");
}

#[test]
fn a_network_has_addresses_to_bind_and_to_tell() {
    let json = r#"{"bind-addresses":[
          {"mac-address":"","interface-name":"lo","addresses":null},
          {"mac-address":"0a:00","interface-name":"eth0","addresses":[
            {"hostname":"","value":"10.0.0.7","cidr":"10.0.0.0/24"}]}],
        "egress-subnets":["10.0.0.7/32"],"ingress-addresses":["203.0.113.9","10.0.0.7"]}"#;
    let network = reads("network-get", json, |t| t.network_get("cluster", None));
    assert_eq!(network.bind_address(), Some("10.0.0.7"));
    assert_eq!(network.ingress_address(), Some("203.0.113.9"));
    assert_eq!(network.egress_subnets, ["10.0.0.7/32"]);
    assert_eq!(network.bind_addresses[1].addresses[0].cidr, "10.0.0.0/24");
    let empty = r#"{"bind-addresses":null,"ingress-addresses":null}"#;
    let empty = reads("network-get", empty, |t| t.network_get("cluster", None));
    assert_eq!((empty.bind_address(), empty.ingress_address()), (None, None));
}

#[test]
fn goal_state_lists_units_no_hook_has_told_of() {
    let json = r#"{"units":{"etcd/0":{"status":"active","since":"2026-11-21 10:00:00Z"},
            "etcd/10":{"status":"dying","since":""},"etcd/2":{"status":"allocating"}},
        "relations":{"proxy":{"app":{"status":"joined"},"app/0":{"status":"joined"}}}}"#;
    let state = reads("goal-state", json, Tools::goal_state);
    let units: Vec<_> = state.units.keys().cloned().collect();
    assert_eq!(units, [unit("etcd/0"), unit("etcd/2"), unit("etcd/10")]);
    assert!(state.units[&unit("etcd/10")].is_dying());
    assert!(!state.units[&unit("etcd/2")].is_dying());
    assert_eq!(state.relations["proxy"].len(), 2);
}

#[test]
fn a_status_is_read_back_for_unit_and_application() {
    let unit_status = r#"{"message":"hi","status":"active","status-data":{}}"#;
    let status = reads("status-get", unit_status, Tools::status_get);
    assert_eq!((status.status.as_str(), status.message.as_str()), ("active", "hi"));
    let json = format!(
        r#"{{"application-status":{{"message":"","status":"waiting","status-data":{{}},
            "units":{{"etcd/0":{unit_status}}}}}}}"#
    );
    let app = reads("status-get", json, Tools::application_status_get);
    assert_eq!(app.status, "waiting");
    assert_eq!(app.units[&unit("etcd/0")], status);
}

#[test]
fn ports_storages_and_addresses_are_read() {
    let ports =
        reads("opened-ports", r#"["2379/tcp","8000-8010/udp","icmp"]"#, Tools::opened_ports);
    assert_eq!(ports[0], Port::tcp(2379));
    assert_eq!((ports[1].from(), ports[1].to()), (8000, 8010));
    let error = tried("opened-ports", r#"["x/tcp"]"#, Tools::opened_ports).unwrap_err();
    assert!(matches!(error, Error::NotUnderstood { .. }), "{error:?}");

    let ids = reads("storage-list", r#"["data/7"]"#, |t| t.storage_list(Some("data")));
    let json = r#"{"kind":"filesystem","location":"/srv/data/7"}"#;
    let storage = reads("storage-get", json, |t| t.storage_get(&ids[0]));
    assert_eq!(storage.location.to_str(), Some("/srv/data/7"));
    assert!(tried("storage-get", "null", |t| t.storage_get(&ids[0])).is_err());
    let address = reads("unit-get", r#""10.0.0.7""#, |t| t.unit_get(AddressKind::Private));
    assert_eq!(address.as_deref(), Some("10.0.0.7"));
}

#[test]
fn a_resource_that_nobody_attached_is_none_and_any_other_failure_is_one() {
    let path = reads("resource-get", "/var/lib/juju/release", |t| t.resource_get("release"));
    assert_eq!(path.unwrap().to_str(), Some("/var/lib/juju/release"));

    let absent = "ERROR could not download resource: resource \"release\" not found\n";
    let fake = Fake::new().failing("resource-get", 1, absent);
    assert_eq!(fake.tools().resource_get("release").unwrap(), None);

    let broken = "ERROR could not download resource: connection refused\n";
    let fake = Fake::new().failing("resource-get", 1, broken);
    let error = fake.tools().resource_get("release").unwrap_err();
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[test]
fn a_path_need_not_be_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let path = reads("resource-get", b"/tmp/\xff", |t| t.resource_get("release")).unwrap();
    assert_eq!(path.as_os_str().as_bytes(), b"/tmp/\xff");
}

#[test]
fn secrets_are_read_and_a_wrong_answer_shows_no_value() {
    let by_label = SecretRef::Label("root".to_owned());
    let content = reads("secret-get", r#"{"password":"s3cret"}"#, |t| {
        t.secret_get(&by_label, SecretView::Peek)
    });
    assert_eq!(content.get("password"), Some("s3cret"));
    for wrong in [r#""s3cret""#, r#"{"password":["s3cret"]}"#, "s3cret", ""] {
        let result = tried("secret-get", wrong, |t| t.secret_get(&by_label, SecretView::Peek));
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotUnderstood { .. }), "{error:?}");
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    }

    let json = r#"{"secret:9m4e":{"revision":2,"label":"root","owner":"application",
        "description":"","rotation":"never","rotates":null,"access":[]}}"#;
    let info = reads("secret-info-get", json, |t| t.secret_info_get(&by_label));
    assert_eq!((info.id.as_str(), info.revision), ("secret:9m4e", 2));
    assert_eq!((info.owner, info.description), (Some(Scope::App), None));
    assert!(tried("secret-info-get", "{}", |t| t.secret_info_get(&by_label)).is_err());
}
