//! Options: what a person types, well or badly.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::Duration;

use model::{End, Options, Version};

use super::common::{APP, Etcd, Load, Store};
use super::config_watch::Watch;

/// A change of configuration restarts the members one after another, and writing goes on.
pub fn change_rolls() {
    let etcd = Etcd::healthy(11, 3);
    let before = main_pids(&etcd);
    let load = Load::start(etcd.client_urls());
    let watch = Watch::start(&etcd);
    etcd.model.set_config(APP, &[("auto-compaction-retention", "8h")]).unwrap();
    etcd.settle("all run with the new option", |etcd| {
        let restarted = main_pids(etcd).iter().all(|(unit, pid)| before[unit] != *pid);
        restarted && etcd.what_is_wrong().is_none()
    });
    let seen = watch.end();
    let report = load.end();
    etcd.hooks_never_failed();
    assert_eq!(seen.most_down_at_once, 1, "{seen:?}");
    assert_eq!(
        seen.pids_of(&etcd),
        BTreeMap::from_iter(etcd.units().into_iter().map(|unit| (unit, 2)))
    );
    assert!(!seen.holders.is_empty(), "nobody was seen with the turn: {seen:?}");
    assert_eq!(seen.down_without_turn, Vec::<String>::new());
    assert!(report.failures.is_empty(), "{:?}", report.failures);
    let slowest = report.slowest;
    assert!(slowest < Duration::from_secs(6), "no majority answered for {slowest:?}");
    assert!(report.acknowledged > 20, "{} writes", report.acknowledged);
    for unit in etcd.units() {
        assert_eq!(variable(&etcd, &unit, "ETCD_AUTO_COMPACTION_RETENTION"), "8h");
    }
}

/// Each bad value is named in the status with its fix, changes nothing, and is forgiven.
pub fn bad_values() {
    let etcd = Etcd::healthy(12, 1);
    let store = etcd.store();
    store.put("key", "kept");
    let before = main_pids(&etcd);
    for (option, value, fix) in [
        ("port", "0", "from 1 to 65535"),
        ("port", "70000", "from 1 to 65535"),
        ("port", "2380", "different ports"),
        ("management-port", "-1", "from 1 to 65535"),
        ("management-port", "2379", "different ports"),
        ("heartbeat-interval", "5", "from 10 to 10000"),
        ("heartbeat-interval", "900", "5 times heartbeat-interval"),
        ("election-timeout", "100", "from 500"),
        ("election-timeout", "60000", "to 50000"),
        ("auto-compaction-mode", "sometimes", "periodic or revision"),
        ("auto-compaction-retention", "abc", "number of hours"),
        ("auto-compaction-retention", "1 h", "duration such as 1h"),
        ("extra-args", "snapshot-count=5", "give flags"),
        ("extra-args", "--snapshot-count='5'", "without quotes"),
        ("extra-args", "--snapshot-count=many", "whole number"),
        ("extra-args", "--no-such-flag", "--no-such-flag"),
        ("extra-args", "--name=other", "take it out"),
        ("extra-args", "--data-dir /elsewhere", "take it out"),
        ("extra-args", "--election-timeout=5000", "use option election-timeout"),
        ("extra-args", "--listen-client-urls=http://127.0.0.1:1", "use option port"),
        ("bin-source", "ftp://example.com/x", "source-sum"),
        ("bin-source", "http://example.com/x", "source-sum is empty"),
        ("source-sum", "xyz", "40 (SHA-1), 64 (SHA-256) or 128 (SHA-512)"),
        ("source-sum", "abc", "40 (SHA-1), 64 (SHA-256) or 128 (SHA-512)"),
        ("source-sum", "0123456789012345678901234567890123456789", "without bin-source"),
    ] {
        etcd.model.set_config(APP, &[(option, value)]).unwrap();
        etcd.model.drain().unwrap();
        let shown = etcd.model.status().units["etcd/0"].status.clone();
        let what = format!("{option}={value}: {} \"{}\"", shown.status, shown.message);
        assert_eq!(shown.status, "blocked", "{what}");
        assert!(shown.message.contains(option) && shown.message.contains(fix), "{what}");
        assert!(!shown.message.contains('\n') && shown.message.len() < 300, "{what}");
        let of_app = etcd.model.status().apps[APP].status.clone();
        assert_eq!(of_app.status, "blocked", "{what}: application {}", of_app.message);
        store.put("key", value);
        etcd.model.reset_config(APP, option).unwrap();
        etcd.model.drain().unwrap();
        assert_eq!(etcd.what_is_wrong(), None, "{what}, and mended");
    }
    assert_eq!(main_pids(&etcd), before, "nothing was worth a restart");
    etcd.hooks_never_failed();
}

/// A unit whose first configuration is a bad one waits for a good one.
pub fn bad_at_deploy() {
    let etcd = Etcd::deployed_as(Options::default(), 1, &[("port", "0")], &[]);
    etcd.model.drain().unwrap();
    let shown = etcd.model.status().units["etcd/0"].status.clone();
    assert_eq!(
        (shown.status.as_str(), shown.message.as_str()),
        ("blocked", "option port is 0: give a port from 1 to 65535")
    );
    etcd.hooks_never_failed();
    etcd.model.set_config(APP, &[("port", "2379")]).unwrap();
    etcd.becomes_healthy();
}

/// Flags for the store reach it, and a good change beside a bad one is not lost.
pub fn extra_arguments() {
    let etcd = Etcd::healthy(13, 1);
    etcd.model
        .set_config(APP, &[("extra-args", "--snapshot-count=50000  --log-level debug")])
        .unwrap();
    etcd.becomes_healthy();
    let words = command_line(&etcd, "etcd/0");
    assert_eq!(words[1..], ["--snapshot-count=50000", "--log-level", "debug"]);

    let good_and_bad = [("heartbeat-interval", "50"), ("extra-args", "--snapshot-count=x")];
    etcd.model.set_config(APP, &good_and_bad).unwrap();
    etcd.model.drain().unwrap();
    assert_eq!(etcd.model.status().units["etcd/0"].status.status, "blocked");
    assert_eq!(command_line(&etcd, "etcd/0"), words, "the last good one as a whole");
    assert_eq!(variable(&etcd, "etcd/0", "ETCD_HEARTBEAT_INTERVAL"), "100");

    etcd.model.reset_config(APP, "extra-args").unwrap();
    etcd.becomes_healthy();
    assert_eq!(command_line(&etcd, "etcd/0").len(), 1);
    assert_eq!(variable(&etcd, "etcd/0", "ETCD_HEARTBEAT_INTERVAL"), "50");
}

/// Clients and members find each other at the new ports, and the old ones are closed.
pub fn ports() {
    let etcd = Etcd::healthy(14, 3);
    etcd.store().put("key", "value");
    etcd.model.set_config(APP, &[("port", "4001"), ("management-port", "7001")]).unwrap();
    etcd.settle("every unit serves at the new ports", |etcd| {
        let are_open = etcd.model.status().units.values().all(|unit| unit.ports == ["4001/tcp"]);
        are_open && etcd.what_is_wrong().is_none() && are_at(etcd, 4001, 7001)
    });
    etcd.hooks_never_failed();
    let urls: Vec<String> =
        etcd.client_urls().iter().map(|url| url.replace(":2379", ":4001")).collect();
    assert_eq!(Store::new(&urls).get_everywhere("key"), vec![Some("value".to_owned()); 3]);
    for unit in etcd.units() {
        let old = (etcd.model.address(&unit).unwrap(), 2379);
        assert!(std::net::TcpStream::connect(old).is_err(), "{unit} still listens on 2379");
    }
}

/// A port that another program holds: the member cannot start with it, and goes back.
pub fn taken_port() {
    let etcd = Etcd::healthy(15, 1);
    etcd.store().put("key", "value");
    let held = TcpListener::bind((etcd.model.address("etcd/0").unwrap(), 4001)).unwrap();
    etcd.model.set_config(APP, &[("port", "4001")]).unwrap();
    etcd.model.drain().unwrap();
    let shown = etcd.model.status().units["etcd/0"].status.clone();
    assert_eq!(shown.status, "blocked", "{}", shown.message);
    assert!(shown.message.contains("the last one is back"), "{}", shown.message);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
    let before = main_pids(&etcd);
    etcd.model.update_status();
    etcd.model.drain().unwrap();
    assert_eq!(main_pids(&etcd), before, "it is not tried again by itself");
    etcd.hooks_never_failed();
    drop(held);
    etcd.model.set_config(APP, &[("port", "4002")]).unwrap();
    etcd.settle("the mended option counts", |etcd| {
        etcd.what_is_wrong().is_none() && are_at(etcd, 4002, 2380)
    });
}

/// A full store: nobody can be given a turn by writing it down, and still the members restart one
/// after another with the room that the operator gives them.
pub fn more_room() {
    let etcd = Etcd::healthy(17, 3);
    etcd.model.set_config(APP, &[("quota-backend-bytes", "1048576")]).unwrap();
    etcd.becomes_healthy();
    super::actions::fill(&etcd.client_urls()[0]);
    etcd.settle("all units show the alarm", |etcd| {
        let units = etcd.model.status().units;
        units.values().all(|unit| unit.status.message.contains("NOSPACE"))
    });
    let watch = Watch::start(&etcd);
    etcd.model.set_config(APP, &[("quota-backend-bytes", "67108864")]).unwrap();
    etcd.settle("all run with more room", |etcd| {
        let has = |unit: &String| variable(etcd, unit, "ETCD_QUOTA_BACKEND_BYTES") == "67108864";
        etcd.units().iter().all(has) && etcd.what_is_wrong().is_none()
    });
    let seen = watch.end();
    assert_eq!(seen.most_down_at_once, 1, "{seen:?}");
    assert_eq!(seen.down_without_turn, Vec::<String>::new());
    etcd.store().put("key", "value");
    etcd.hooks_never_failed();
}

/// A machine gets another address; then all of them do, one after another.
pub fn addresses() {
    let etcd = Etcd::healthy(16, 3);
    etcd.store().put("key", "0");
    for (round, unit) in ["etcd/1", "etcd/0", "etcd/1", "etcd/2"].into_iter().enumerate() {
        etcd.model.change_address(unit).unwrap();
        etcd.settle("the members know the new address", |etcd| {
            etcd.what_is_wrong().is_none() && are_at(etcd, 2379, 2380)
        });
        let value = (round + 1).to_string();
        etcd.store().put("key", &value);
        assert_eq!(etcd.store().get_everywhere("key"), vec![Some(value); 3]);
    }
    etcd.hooks_never_failed();
}

/// Without leader election nobody can say who founds the cluster.
pub fn old_juju() {
    let juju = Version::V1_18;
    let etcd =
        Etcd::deployed_as(Options { juju, retries_max: 0, ..Options::default() }, 1, &[], &[]);
    etcd.model.drain().unwrap();
    let journal = etcd.model.journal();
    let install = journal.iter().find(|entry| entry.hook == "install").unwrap();
    assert!(matches!(install.end, End::Failed(_)), "{install}");
    assert!(install.output.contains("Juju 2.9"), "{}", install.output);
    assert_eq!(etcd.model.status().units["etcd/0"].status.status, "error");
}

/// Whether the members are known at their machines' addresses and these ports, everywhere.
fn are_at(etcd: &Etcd, port: u16, management_port: u16) -> bool {
    let url = |unit: &String, port: u16| {
        etcd.model
            .address(unit)
            .map_or_else(|_| String::new(), |address| format!("http://{address}:{port}"))
    };
    let units = etcd.units();
    let wanted: BTreeSet<(String, String)> =
        units.iter().map(|unit| (url(unit, management_port), url(unit, port))).collect();
    units.iter().all(|unit| {
        let Some(told) = etcd.agent(unit) else { return false };
        let members = told["members"].as_array().cloned().unwrap_or_default();
        let first = |urls: &serde_json::Value| urls[0].as_str().unwrap_or_default().to_owned();
        let known: BTreeSet<(String, String)> = members
            .iter()
            .map(|member| (first(&member["peer_urls"]), first(&member["client_urls"])))
            .collect();
        known == wanted
    })
}

/// Main process of each unit's service; 0 when it has none.
fn main_pids(etcd: &Etcd) -> BTreeMap<String, u32> {
    etcd.units()
        .into_iter()
        .map(|unit| (unit.clone(), super::config_watch::main_pid(&etcd.model, &unit)))
        .collect()
}

fn command_line(etcd: &Etcd, unit: &str) -> Vec<String> {
    let pid = main_pids(etcd)[unit];
    let text = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap();
    text.split_terminator('\0').map(str::to_owned).collect()
}

/// What the running member of a unit was started with.
fn variable(etcd: &Etcd, unit: &str, name: &str) -> String {
    let pid = main_pids(etcd)[unit];
    let text = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
    let line = text.split('\0').find_map(|line| line.strip_prefix(&format!("{name}=")));
    line.unwrap_or_default().to_owned()
}
