//! Actions: their results by key, their texts, and what they say when they fail.

use model::Outcome;
use quorate_tests::{Client, pb};
use serde_json::{Value, json};

use super::common::{APP, Etcd};
use super::upgrade::current;
use super::upgrade_archive as archive;
use super::upgrade_server::WebServer;

/// Writes of 8 KiB that use up a small quota many times over.
const WRITES_MAX: u32 = 1_000;

/// Every action on a healthy cluster.
pub fn healthy_cluster() {
    let etcd = Etcd::healthy(61, 3);
    for number in 0..5 {
        etcd.store().put("key", &number.to_string());
    }
    for unit in etcd.units() {
        let health = done(&etcd, &unit, "health", json!({}));
        let text = &health.results["output"];
        assert_eq!(&health.results["result-map.message"], text);
        assert_eq!(text.lines().count(), 4, "{text}");
        for member in etcd.units() {
            let name = member.replace('/', "-");
            let url = format!("http://{}:2379", etcd.model.address(&member).unwrap());
            let line = text.lines().find(|line| line.contains(&format!("({name}"))).unwrap();
            assert!(line.ends_with(&format!("is healthy: {url}")), "{unit}: {line}");
        }
        assert!(text.ends_with("\ncluster is healthy"), "{text}");
        let leader = etcd.raft_leader().replace('/', "-");
        for (key, expected) in [
            ("cluster", "healthy"),
            ("members", "3"),
            ("members-reachable", "3"),
            ("leader", leader.as_str()),
            ("alarms", ""),
        ] {
            assert_eq!(health.results[key], expected, "{unit}: {key}");
        }
    }
    let list = done(&etcd, "etcd/1", "member-list", json!({}));
    assert_eq!(list.results["members"], "3");
    let rows: Vec<Vec<&str>> =
        list.results["output"].lines().map(|line| line.split(", ").collect()).collect();
    assert!(rows.iter().all(|row| row.len() == 6 && row[1] == "started"), "{rows:?}");
    assert_eq!(rows.iter().filter(|row| row[5] == "leader").count(), 1, "{rows:?}");

    let text = done(&etcd, "etcd/2", "cluster-string", json!({}));
    let joined = |port: u16| {
        let part = |unit: String| {
            let address = etcd.model.address(&unit).unwrap();
            format!("{}=http://{address}:{port}", unit.replace('/', "-"))
        };
        etcd.units().into_iter().map(part).collect::<Vec<_>>().join(",")
    };
    assert_eq!(text.results["proxy"], joined(2380));
    assert_eq!(text.results["output"], joined(2380));
    assert_eq!(text.results["client"], joined(2379));
    assert_eq!(text.results["db"], etcd.client_urls().join(","));

    let alarms = done(&etcd, "etcd/0", "alarm-list", json!({}));
    assert_eq!((&*alarms.results["output"], &*alarms.results["alarms"]), ("no alarms", "0"));
    let disarmed = done(&etcd, "etcd/0", "alarm-disarm", json!({}));
    assert_eq!(disarmed.results["disarmed"], "0");
    let defrag = done(&etcd, "etcd/0", "defrag", json!({}));
    for key in ["bytes-before", "bytes-after"] {
        assert!(defrag.results[key].parse::<u64>().unwrap() > 0, "{:?}", defrag.results);
    }
}

/// `compact`: with a revision, without one, and with one that cannot be.
pub fn compact() {
    let etcd = Etcd::healthy(62, 1);
    let mut revision = 0;
    for number in 0..10 {
        revision = etcd.store().put("key", &number.to_string());
    }
    let earlier = done(&etcd, "etcd/0", "compact", json!({"revision": revision - 5}));
    assert_eq!(earlier.results["revision"], (revision - 5).to_string());
    assert_eq!(earlier.results["physical"], "false");
    let again = failed(&etcd, "etcd/0", "compact", json!({"revision": revision - 5}));
    assert!(again.message.contains("has been compacted"), "{}", again.message);
    let future = failed(&etcd, "etcd/0", "compact", json!({"revision": revision + 100}));
    assert!(future.message.contains("future revision"), "{}", future.message);
    assert!(future.message.contains(&format!("to {revision}")), "the fix: {}", future.message);
    let newest = done(&etcd, "etcd/0", "compact", json!({"physical": true}));
    assert_eq!(newest.results["revision"], revision.to_string());
    assert_eq!(newest.results["physical"], "true");
    assert_eq!(newest.results["output"], format!("compacted revision {revision}"));
    assert_eq!(etcd.store().get("key").as_deref(), Some("9"), "the newest value stays");
}

/// Parameters nobody has described do not reach an action, nor values of another kind.
pub fn parameters() {
    let etcd = Etcd::healthy(63, 1);
    for action in [
        "health",
        "cluster-string",
        "member-list",
        "compact",
        "defrag",
        "alarm-list",
        "alarm-disarm",
        "rollback-release",
    ] {
        let refused = etcd.model.run_action("etcd/0", action, &json!({"colour": "red"}));
        let line = refused.unwrap_err().to_string();
        assert!(line.contains("\"colour\" is not allowed"), "{action}: {line}");
    }
    for bad in [json!({"revision": 0}), json!({"revision": "7"}), json!({"physical": "yes"})] {
        assert!(etcd.model.run_action("etcd/0", "compact", &bad).is_err(), "{bad}");
    }
    assert!(etcd.model.run_action("etcd/0", "restore", &Value::Null).is_err());
}

/// A cluster with a member down, seen from a follower and from the leader; then without a majority.
pub fn members_down() {
    let etcd = Etcd::healthy(64, 3);
    let leader = etcd.raft_leader();
    let mut others: Vec<String> = etcd.units().into_iter().filter(|unit| *unit != leader).collect();
    let (lost, left) = (others.pop().unwrap(), others.pop().unwrap());
    etcd.model.kill_machine(&lost).unwrap();
    let name = lost.replace('/', "-");
    for unit in [&leader, &left] {
        let outcome = etcd.eventually("the loss is noticed", || {
            let outcome = run(&etcd, unit, "health", json!({}));
            (outcome.results.get("members-reachable")? == "2").then_some(outcome)
        });
        assert_eq!(outcome.status, "completed", "{}", outcome.message);
        let text = &outcome.results["output"];
        assert!(text.contains(&format!("({name}) does not answer: ")), "{unit}: {text}");
        assert!(text.ends_with("\ncluster is healthy"), "two of three are a majority: {text}");
        assert_eq!(outcome.results["cluster"], "healthy");
    }
    etcd.model.kill_machine(&leader).unwrap();
    let outcome = etcd.eventually("the majority is missed", || {
        let outcome = run(&etcd, &left, "health", json!({}));
        let is_alone = outcome.results.get("members-reachable")? == "1";
        (outcome.status == "failed" && is_alone).then_some(outcome)
    });
    assert!(outcome.message.contains("no majority"), "{}", outcome.message);
    assert!(outcome.message.contains("bring back"), "{}", outcome.message);
    assert_eq!(outcome.results["cluster"], "unhealthy");
    let disarm = failed(&etcd, &left, "alarm-disarm", json!({}));
    assert!(disarm.message.contains("bring back the units"), "{}", disarm.message);
    let list = done(&etcd, &left, "member-list", json!({}));
    assert_eq!(list.results["members"], "3", "what is known can be shown");

    etcd.model
        .systemctl(&left, &["stop", &format!("quorate-{}.service", left.replace('/', "-"))])
        .unwrap();
    for action in ["health", "member-list", "cluster-string", "compact", "defrag", "alarm-list"] {
        let outcome = failed(&etcd, &left, action, json!({}));
        assert!(outcome.message.contains("does not answer"), "{action}: {}", outcome.message);
        assert!(
            outcome.message.contains("journalctl -u quorate-"),
            "{action}: {}",
            outcome.message
        );
    }
}

/// The alarm of a full store is shown, told by `health` and the status, and taken back.
pub fn alarms() {
    let etcd = Etcd::healthy(65, 1);
    etcd.model.set_config(APP, &[("quota-backend-bytes", "1048576")]).unwrap();
    etcd.model.drain().unwrap();
    let store = etcd.store();
    fill(&etcd.client_urls()[0]);
    let list = etcd.eventually("the alarm is raised", || {
        let list = done(&etcd, "etcd/0", "alarm-list", json!({}));
        (list.results["alarms"] == "1").then_some(list)
    });
    assert!(list.results["output"].contains("alarm:NOSPACE"), "{:?}", list.results);
    let health = failed(&etcd, "etcd/0", "health", json!({}));
    assert!(health.message.contains("NOSPACE") && health.message.contains("alarm-disarm"));
    assert_eq!(health.results["alarms"], "NOSPACE");
    etcd.model.update_status();
    etcd.model.drain().unwrap();
    let shown = etcd.model.status().units["etcd/0"].status.clone();
    assert_eq!(shown.status, "blocked");
    assert!(shown.message.contains("NOSPACE"), "{}", shown.message);

    etcd.model.reset_config(APP, "quota-backend-bytes").unwrap();
    etcd.model.drain().unwrap();
    done(&etcd, "etcd/0", "alarm-disarm", json!({}));
    assert_eq!(done(&etcd, "etcd/0", "alarm-list", json!({})).results["output"], "no alarms");
    store.put("key", "value");
    etcd.becomes_healthy();
}

/// Back to the release before, and not forward again until somebody asks for it.
pub fn rollback() {
    let etcd = Etcd::healthy(66, 1);
    etcd.store().put("key", "value");
    let carried = current(&etcd, "etcd/0");
    let nothing = failed(&etcd, "etcd/0", "rollback-release", json!({}));
    assert!(nothing.message.contains("no previous release"), "{}", nothing.message);

    let web = WebServer::start();
    let archive = archive::of_wrapper("rollback");
    let sum = archive::sha256(&archive);
    let url = web.publish("/r.tar.gz", archive);
    etcd.model.set_config(APP, &[("bin-source", &url), ("source-sum", &sum)]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), sum[..12]);

    let back = done(&etcd, "etcd/0", "rollback-release", json!({}));
    assert_eq!((&*back.results["from"], &*back.results["to"]), (&sum[..12], &*carried));
    assert!(back.results["output"].contains("is not taken again"), "{:?}", back.results);
    assert_eq!(current(&etcd, "etcd/0"), carried);
    etcd.model.update_status();
    etcd.becomes_healthy();
    etcd.model.set_config(APP, &[("auto-compaction-retention", "1h")]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), carried, "it is held back whatever else changes");

    let again = archive::of_wrapper("rollback, mended");
    let sum = archive::sha256(&again);
    let url = web.publish("/again.tar.gz", again);
    etcd.model.set_config(APP, &[("bin-source", &url), ("source-sum", &sum)]).unwrap();
    etcd.becomes_healthy();
    assert_eq!(current(&etcd, "etcd/0"), sum[..12]);
    assert_eq!(etcd.store().get("key").as_deref(), Some("value"));
    etcd.hooks_never_failed();
}

/// Writes until the member refuses for want of space.
pub fn fill(url: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::new(url);
        for number in 0..WRITES_MAX {
            let key = format!("filler/{number}").into();
            let request =
                pb::PutRequest { key, value: vec![b'x'; 8192].into(), ..Default::default() };
            if let Err(error) = client.put(request).await {
                assert_eq!(error.message(), "etcdserver: mvcc: database space exceeded");
                return;
            }
        }
        panic!("the quota was never used up");
    });
}

fn run(etcd: &Etcd, unit: &str, action: &str, params: Value) -> Outcome {
    let outcome = etcd.model.run_action(unit, action, &params).unwrap();
    assert_eq!(outcome.return_code, Some(0), "{action}: {}", outcome.stderr);
    assert!(!outcome.message.contains('\n'), "{action}: {}", outcome.message);
    outcome
}

fn done(etcd: &Etcd, unit: &str, action: &str, params: Value) -> Outcome {
    let outcome = run(etcd, unit, action, params);
    assert_eq!(outcome.status, "completed", "{action}: {}", outcome.message);
    assert!(!outcome.results["output"].is_empty(), "{action}");
    outcome
}

fn failed(etcd: &Etcd, unit: &str, action: &str, params: Value) -> Outcome {
    let outcome = run(etcd, unit, action, params);
    assert_eq!(outcome.status, "failed", "{action}: {:?}", outcome.results);
    outcome
}
