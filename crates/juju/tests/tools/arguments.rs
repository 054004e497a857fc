//! The command line each method sends, word by word: the forms of Juju's own Python library.

use std::collections::BTreeMap;

use crate::fake::Fake;
use juju::{
    AddressKind, Bag, Changes, Error, Level, Port, Reboot, RelationId, Result, Scope,
    SecretContent, SecretId, SecretOptions, SecretRef, SecretView, Status, Tools, UnitName,
};

/// Runs `call` against a tool that answers `stdout`, and compares the arguments it got.
fn sends(
    tool: &str,
    stdout: &str,
    arguments: &[&str],
    call: impl FnOnce(&Tools) -> Result<()>,
) -> Fake {
    let fake = Fake::new().answering(tool, stdout);
    call(&fake.tools()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(fake.argv(tool), arguments);
    fake
}

fn cluster() -> RelationId {
    "cluster:3".parse().unwrap()
}

fn unit() -> UnitName {
    "etcd/1".parse().unwrap()
}

fn secret() -> SecretId {
    "secret:9m4e2mr0ui3e8a215n4g".parse().unwrap()
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn reading_tools_are_asked_for_json() {
    sends("config-get", "{}", &["--format=json"], |t| t.config_get().map(drop));
    sends("is-leader", "true", &["--format=json"], |t| t.is_leader().map(drop));
    sends("goal-state", "{}", &["--format=json"], |t| t.goal_state().map(drop));
    sends("opened-ports", "[]", &["--format=json"], |t| t.opened_ports().map(drop));
    sends("action-get", "{}", &["--format=json"], |t| t.action_get().map(drop));
    sends("secret-ids", "[]", &["--format=json"], |t| t.secret_ids().map(drop));
    sends("state-get", "null", &["--format=json"], |t| t.state_get_all().map(drop));
    sends("state-get", "\"\"", &["--format=json", "key"], |t| t.state_get("key").map(drop));
    sends("storage-list", "[]", &["--format=json"], |t| t.storage_list(None).map(drop));
    let named = ["--format=json", "data"];
    sends("storage-list", "[]", &named, |t| t.storage_list(Some("data")).map(drop));
    let storage = r#"{"kind":"filesystem","location":"/srv"}"#;
    let data = "data/0".parse().unwrap();
    let by_id = ["--format=json", "-s", "data/0"];
    sends("storage-get", storage, &by_id, |t| t.storage_get(&data).map(drop));
}

#[test]
fn relations_are_named_by_their_whole_id() {
    sends("relation-ids", "[]", &["cos-agent", "--format=json"], |t| {
        t.relation_ids("cos-agent").map(drop)
    });
    sends("relation-list", "[]", &["--format=json", "-r", "cluster:3"], |t| {
        t.relation_list(&cluster()).map(drop)
    });
    sends("relation-list", "\"x\"", &["--format=json", "--app", "-r", "cluster:3"], |t| {
        t.relation_app(&cluster()).map(drop)
    });
    sends("relation-get", "{}", &["--format=json", "-r", "cluster:3", "-", "etcd/1"], |t| {
        t.relation_get(&cluster(), &Bag::Unit(unit())).map(drop)
    });
    sends("relation-get", "{}", &["--format=json", "-r", "cluster:3", "--app", "-", "etcd"], |t| {
        t.relation_get(&cluster(), &Bag::App("etcd".to_owned())).map(drop)
    });
    sends("network-get", "{}", &["--format=json", "cluster"], |t| {
        t.network_get("cluster", None).map(drop)
    });
    sends("network-get", "{}", &["--format=json", "-r", "cluster:3", "cluster"], |t| {
        t.network_get("cluster", Some(&cluster())).map(drop)
    });
    sends("unit-get", "null", &["--format=json", "private-address"], |t| {
        t.unit_get(AddressKind::Private).map(drop)
    });
    sends("unit-get", "null", &["--format=json", "public-address"], |t| {
        t.unit_get(AddressKind::Public).map(drop)
    });
}

#[test]
fn databags_travel_on_standard_input_and_none_deletes() {
    let changes: Changes =
        [("gone".to_owned(), None), ("key".to_owned(), Some("-a=b\n".to_owned()))].into();
    let unit = sends("relation-set", "", &["-r", "cluster:3", "--file", "-"], |t| {
        t.relation_set(&cluster(), Scope::Unit, &changes)
    });
    assert_eq!(unit.stdin("relation-set"), r#"{"gone":"","key":"-a=b\n"}"#);
    sends("relation-set", "", &["-r", "cluster:3", "--app", "--file", "-"], |t| {
        t.relation_set(&cluster(), Scope::App, &changes)
    });
    let state =
        sends("state-set", "", &["--file", "-"], |t| t.state_set(&strings(&[("sum", "abc")])));
    assert_eq!(state.stdin("state-set"), r#"{"sum":"abc"}"#);
    sends("state-delete", "", &["sum"], |t| t.state_delete("sum"));
}

#[test]
fn nothing_to_write_runs_no_tool() {
    let fake = Fake::new()
        .answering("relation-set", "")
        .answering("state-set", "")
        .answering("action-set", "");
    fake.tools().relation_set(&cluster(), Scope::App, &Changes::new()).unwrap();
    fake.tools().state_set(&BTreeMap::new()).unwrap();
    fake.tools().action_set(&BTreeMap::new()).unwrap();
    for tool in ["relation-set", "state-set", "action-set"] {
        assert!(!fake.was_run(tool), "{tool}");
    }
}

#[test]
fn messages_come_after_two_hyphens_even_when_they_look_like_options() {
    let message = "--help me\nplease\u{0}";
    sends("status-set", "", &["--application=False", "blocked", "--", "--help me please"], |t| {
        t.status_set(Scope::Unit, Status::Blocked, message)
    });
    sends("status-set", "", &["--application=True", "active"], |t| {
        t.status_set(Scope::App, Status::Active, " \n")
    });
    sends("juju-log", "", &["--log-level", "WARNING", "--", "--help me\nplease "], |t| {
        t.juju_log(Level::Warning, message)
    });
    sends("action-fail", "", &["--", "--help me please"], |t| t.action_fail(message));
    sends("action-log", "", &["--", "--help me please"], |t| t.action_log(message));
    sends("application-version-set", "", &["--", "-3.6.0"], |t| {
        t.application_version_set("-3.6.0")
    });
}

#[test]
fn long_messages_are_cut_between_characters() {
    let fake = Fake::new().answering("status-set", "");
    fake.tools().status_set(Scope::Unit, Status::Active, &"ä".repeat(10_000)).unwrap();
    let message = fake.argv("status-set").pop().unwrap();
    assert_eq!(message.chars().count(), juju::MESSAGE_CHARS_MAX + 1);
    assert!(message.ends_with("ä…"));
}

#[test]
fn status_ports_and_reboots_have_their_forms() {
    let unit = ["--include-data", "--format=json", "--application=false"];
    sends("status-get", "{}", &unit, |t| t.status_get().map(drop));
    let app = ["--include-data", "--format=json", "--application=true"];
    sends("status-get", "{}", &app, |t| t.application_status_get().map(drop));
    sends("open-port", "", &["2379/tcp"], |t| t.open_port(Port::tcp(2379)));
    sends("close-port", "", &["80-90/udp"], |t| t.close_port("80-90/udp".parse().unwrap()));
    sends("juju-reboot", "", &[], |t| t.juju_reboot(Reboot::AfterHook));
    sends("juju-reboot", "", &["--now"], |t| t.juju_reboot(Reboot::Now));
    sends("resource-get", "", &["release"], |t| t.resource_get("release").map(drop));
}

#[test]
fn action_results_are_arguments_and_their_keys_are_checked_first() {
    let results = strings(&[("output", "a=b\nc"), ("result-map.message", "-x")]);
    sends("action-set", "", &["output=a=b\nc", "result-map.message=-x"], |t| {
        t.action_set(&results)
    });

    let fake = Fake::new().answering("action-set", "");
    let long = "x".repeat(juju::RESULT_BYTES_MAX);
    for (results, says) in [
        (strings(&[("Output", "x")]), "`Output` is no key"),
        (strings(&[("a..b", "x")]), "`a..b` is no key"),
        (strings(&[("-a", "x")]), "`-a` is no key"),
        (strings(&[("a_b", "x")]), "`a_b` is no key"),
        (strings(&[("", "x")]), "`` is no key"),
        (strings(&[("stdout", "x")]), "`stdout` is a result of Juju's own"),
        (strings(&[("a", "x"), ("a-b", "x"), ("a.b", "x")]), "`a.b` nests into `a`"),
        (strings(&[("a", &long)]), "the results have"),
        (strings(&[("a", "zero \0 byte")]), "argument 1 contains a zero byte"),
    ] {
        let error = fake.tools().action_set(&results).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert!(!fake.was_run("action-set"));
}

#[test]
fn the_largest_results_fit_the_command_line() {
    let fake = Fake::new().answering("action-set", "");
    let value = "x".repeat(juju::RESULT_BYTES_MAX - 2);
    fake.tools().action_set(&strings(&[("a", &value)])).unwrap();
    assert_eq!(fake.argv("action-set"), [format!("a={value}")]);
}

#[test]
fn names_that_look_like_options_reach_no_tool() {
    let fake = Fake::new().answering("relation-ids", "[]");
    for name in ["--format=yaml", "-", ""] {
        let error = fake.tools().relation_ids(name).unwrap_err();
        assert!(matches!(error, Error::Invalid { tool: "relation-ids", .. }), "{error:?}");
    }
    assert!(!fake.was_run("relation-ids"));
}

/// Like every fake, and shows what is in the files and who may read them and their directory.
const SHOW_FILES: &str = r##"#!/bin/sh
here=${0%/*}; tool=${0##*/}
for argument in "$@"; do
    case $argument in
    *"#file="*)
        file=${argument#*"#file="}
        printf '%s %s %s %s\n' "${argument%%"#"*}" "$(stat -c %a "$file")" \
            "$(stat -c %a "${file%/*}")" "$(cat "$file")" >>"$here/$tool.files"
        argument=${argument%%"#"*}"#file"
        ;;
    esac
    printf '%s\0' "$argument"
done >"$here/$tool.argv"
echo secret:9m4e2mr0ui3e8a215n4g
"##;

#[test]
fn secret_values_travel_in_files_that_are_gone_afterwards() {
    let content = strings(&[("password", "s3cret"), ("user-name", "root")]);
    let content = SecretContent::new(content).unwrap();
    let all = SecretOptions {
        label: Some("root".to_owned()),
        description: Some("the root user".to_owned()),
        expire: Some("24h".to_owned()),
        rotate: Some(juju::Rotation::Monthly),
        owner: Scope::App,
    };
    let fake = Fake::new().running("secret-add", SHOW_FILES).running("secret-set", SHOW_FILES);
    let scratch = tempfile::TempDir::new().unwrap();
    let tools = fake.tools().with_scratch(scratch.path());

    assert_eq!(tools.secret_add(&content, &all).unwrap(), secret());
    let files = std::fs::read_to_string(fake.file("secret-add", "files")).unwrap();
    assert_eq!(files, "password 600 700 s3cret\nuser-name 600 700 root\n");
    let described = [
        "--label",
        "root",
        "--description",
        "the root user",
        "--expire",
        "24h",
        "--rotate",
        "monthly",
        "--owner",
        "application",
        "password#file",
        "user-name#file",
    ];
    assert_eq!(fake.argv("secret-add"), described);

    tools.secret_set(&secret(), &content, &SecretOptions::owned_by(Scope::Unit)).unwrap();
    let plain =
        ["--owner", "unit", "secret:9m4e2mr0ui3e8a215n4g", "password#file", "user-name#file"];
    assert_eq!(fake.argv("secret-set"), plain);
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "files were left behind");
}

#[test]
fn a_failed_secret_leaves_no_file_and_shows_no_value() {
    let content = SecretContent::new(strings(&[("password", "s3cret")])).unwrap();
    let fake = Fake::new().failing("secret-add", 1, "ERROR this unit is not the leader\n");
    let scratch = tempfile::TempDir::new().unwrap();
    let tools = fake.tools().with_scratch(scratch.path());
    let error = tools.secret_add(&content, &SecretOptions::owned_by(Scope::App)).unwrap_err();
    assert!(error.to_string().ends_with("ERROR this unit is not the leader"), "{error}");
    assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0, "files were left behind");
}

#[test]
fn secrets_are_read_granted_and_removed_by_id() {
    let id = "secret:9m4e2mr0ui3e8a215n4g";
    let by_id = SecretRef::Id(secret());
    let by_label = SecretRef::Label("root".to_owned());
    let map = r#"{"password":"s3cret"}"#;
    sends("secret-get", map, &["--format=json", id], |t| {
        t.secret_get(&by_id, SecretView::Tracked).map(drop)
    });
    sends("secret-get", map, &["--format=json", id, "--peek"], |t| {
        t.secret_get(&by_id, SecretView::Peek).map(drop)
    });
    sends("secret-get", map, &["--format=json", "--label", "root", "--refresh"], |t| {
        t.secret_get(&by_label, SecretView::Refresh).map(drop)
    });
    let info = r#"{"secret:9m4e":{"revision":2}}"#;
    sends("secret-info-get", info, &["--format=json", id], |t| t.secret_info_get(&by_id).map(drop));
    sends("secret-info-get", info, &["--format=json", "--label", "root"], |t| {
        t.secret_info_get(&by_label).map(drop)
    });
    sends("secret-grant", "", &["--relation", "cluster:3", id], |t| {
        t.secret_grant(&secret(), &cluster(), None)
    });
    sends("secret-revoke", "", &["--relation", "cluster:3", "--unit", "etcd/1", id], |t| {
        t.secret_revoke(&secret(), &cluster(), Some(&unit()))
    });
    sends("secret-remove", "", &[id], |t| t.secret_remove(&secret(), None));
    sends("secret-remove", "", &[id, "--revision", "2"], |t| t.secret_remove(&secret(), Some(2)));
}
