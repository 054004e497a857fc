//! The stand-in for Juju itself, played with tiny charms of shell scripts.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use model::{End, Fault, FaultKind, Model, Options, Version};
use serde_json::json;

const METADATA: &str = "
name: tiny
summary: s
description: d
peers: {cluster: tiny-peer}
provides: {db: tiny-db}
storage:
  data: {type: filesystem, multiple: {range: 0-1}}
";
const CONFIG: &str = "options: {port: {type: int, default: 7}, word: {type: string}}";
const ACTIONS: &str = "
greet:
  params: {name: {type: string, default: you}, times: {type: integer, minimum: 1}}
  additionalProperties: false
broken: {additionalProperties: false}
";

/// A charm with these hooks (`name`, shell text) and actions (`action:name`, shell text).
fn charm(scripts: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("metadata.yaml"), METADATA).unwrap();
    std::fs::write(dir.path().join("config.yaml"), CONFIG).unwrap();
    std::fs::write(dir.path().join("actions.yaml"), ACTIONS).unwrap();
    for folder in ["hooks", "actions"] {
        std::fs::create_dir(dir.path().join(folder)).unwrap();
    }
    for (name, text) in scripts {
        let path = match name.strip_prefix("action:") {
            Some(action) => dir.path().join("actions").join(action),
            None => dir.path().join("hooks").join(name),
        };
        script(&path, text);
    }
    dir
}

fn script(path: &Path, text: &str) {
    std::fs::write(path, format!("#!/bin/sh\nset -e\n{text}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn model(seed: u64, juju: Version) -> Model {
    Model::new(Options { seed, juju, ..Options::default() }).unwrap()
}

fn deployed(scripts: &[(&str, &str)], count: u32) -> Model {
    let charm = charm(scripts);
    let model = model(1, Version::V4_0);
    model.deploy(charm.path(), "tiny", count, &[], &[]).unwrap();
    model.drain().unwrap();
    model
}

#[test]
fn one_unit_runs_the_documented_trace() {
    let charm = charm(&[]);
    let model = model(1, Version::V4_0);
    model.deploy(charm.path(), "tiny", 1, &[], &["data"]).unwrap();
    model.drain().unwrap();
    let trace = [
        "data-storage-attached data/0",
        "install",
        "cluster-relation-created",
        "leader-elected",
        "config-changed",
        "start",
    ];
    assert_eq!(model.hooks("tiny/0"), trace);
    model.update_status();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0").last().unwrap(), "update-status");
}

#[test]
fn joined_is_followed_by_changed_of_the_same_unit() {
    for seed in 0..6 {
        let charm = charm(&[]);
        let model = model(seed, Version::V3_6);
        model.deploy(charm.path(), "tiny", 3, &[], &[]).unwrap();
        model.drain().unwrap();
        for unit in model.units("tiny") {
            let hooks = model.hooks(&unit);
            let of_relation: Vec<_> = hooks
                .iter()
                .filter(|hook| hook.contains("-joined") || hook.contains("-changed "))
                .collect();
            assert_eq!(of_relation.len(), 4, "seed {seed}: {hooks:?}");
            for pair in of_relation.chunks(2) {
                assert_eq!(
                    pair[0].replace("joined", "changed"),
                    *pair[1],
                    "seed {seed}: {hooks:?}"
                );
            }
            let leads = model.leader("tiny").as_deref() == Some(&unit);
            assert_eq!(hooks.contains(&"leader-elected".to_owned()), leads);
            assert_eq!(hooks.contains(&"leader-settings-changed".to_owned()), !leads);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_order_and_another_seed_another_one() {
    let order = |seed| {
        let charm = charm(&[]);
        let model = model(seed, Version::V4_0);
        model.deploy(charm.path(), "tiny", 3, &[], &[]).unwrap();
        model.drain().unwrap();
        model.journal().iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(order(3), order(3));
    assert_ne!(order(3), order(4));
}

#[test]
fn the_environment_is_built_from_nothing() {
    let model = deployed(
        &[("install", "env | cut -d= -f1 | sort; pwd; echo $JUJU_HOOK_NAME $JUJU_DISPATCH_PATH")],
        1,
    );
    let output = &model.journal()[0].output;
    for absent in ["HOME", "USER", "CARGO", "NEXTEST"] {
        assert!(!output.lines().any(|line| line == absent), "{absent} in {output}");
    }
    assert!(output.contains("QUORATE_CHARM_ROOT"), "{output}");
    assert!(output.contains("/charm\ninstall hooks/install"), "{output}");
}

#[test]
fn writes_of_a_failed_hook_are_discarded_and_status_is_not() {
    let config_changed = "relation-set -r $(relation-ids cluster) a=1; open-port 80; state-set k=v; status-set waiting 'for luck'\n\
                          test \"$(relation-get -r $(relation-ids cluster) a $JUJU_UNIT_NAME)\" = 1\n\
                          test \"$(config-get port)\" = 8";
    let model = deployed(&[("config-changed", config_changed)], 1);
    let status = &model.status().units["tiny/0"];
    assert_eq!(
        (status.status.status.as_str(), status.workload.message.as_str()),
        ("error", "for luck")
    );
    assert!(status.status.message.contains("config-changed"));
    assert!(!model.databag("tiny:cluster", "tiny/0").contains_key("a"));
    assert!(status.ports.is_empty());
    model.set_config("tiny", &[("port", "8")]).unwrap();
    model.resolve("tiny/0", true).unwrap();
    model.drain().unwrap();
    assert_eq!(model.databag("tiny:cluster", "tiny/0")["a"], "1");
    assert_eq!(model.status().units["tiny/0"].ports, ["80/tcp"]);
}

#[test]
fn leadership_lost_in_the_middle_refuses_the_whole_commit() {
    let charm = charm(&[(
        "start",
        "is-leader >/dev/null; if [ $(is-leader) = True ]; then relation-set --app -r $(relation-ids cluster) token=x; fi\nrelation-set -r $(relation-ids cluster) mine=1",
    )]);
    let model = model(1, Version::V4_0);
    model.deploy(charm.path(), "tiny", 2, &[], &[]).unwrap();
    let leader = model.leader("tiny").unwrap();
    let other = model.units("tiny").into_iter().find(|unit| *unit != leader).unwrap();
    let what = FaultKind::MoveLeader(other.clone());
    model.inject(Fault {
        unit: leader.clone(),
        hook: Some("start".into()),
        after_tool_calls: 4,
        what,
    });
    while !model.journal().iter().any(|entry| entry.unit == leader && entry.hook == "start") {
        assert!(model.step());
    }
    let entry = model.journal().into_iter().rfind(|entry| entry.unit == leader).unwrap();
    assert!(matches!(entry.end, End::Refused(ref why) if why.contains("is not leader")), "{entry}");
    assert!(!model.databag("tiny:cluster", &leader).contains_key("mine"), "all or nothing");
    assert!(
        model.databag("tiny:cluster", "tiny").is_empty() || model.leader("tiny") == Some(other)
    );
    model.drain().unwrap();
    assert_eq!(
        model.databag("tiny:cluster", &leader)["mine"],
        "1",
        "the retry sees that it does not lead"
    );
}

#[test]
fn a_hook_killed_at_any_step_is_run_again() {
    for step in 0..3 {
        let charm = charm(&[(
            "install",
            "status-set maintenance a; relation-ids cluster >/dev/null; application-version-set 1.2",
        )]);
        let model = model(1, Version::V3_6);
        model.deploy(charm.path(), "tiny", 1, &[], &[]).unwrap();
        model.inject(Fault {
            unit: "tiny/0".into(),
            hook: None,
            after_tool_calls: step,
            what: FaultKind::KillHook,
        });
        model.drain().unwrap();
        let journal = model.journal();
        assert_eq!(
            (journal[0].tool_calls, &journal[0].end),
            (step, &End::Failed("killed by a fault".into()))
        );
        assert_eq!(
            (journal[1].hook.as_str(), journal[1].tool_calls, &journal[1].end),
            ("install", 3, &End::Done)
        );
        assert_eq!(model.status().apps["tiny"].version, "1.2");
    }
}

#[test]
fn a_tool_called_after_its_hook_has_a_bad_context() {
    let model = deployed(&[("install", "env > $JUJU_CHARM_DIR/context")], 1);
    let root = model.root("tiny/0").unwrap();
    let context =
        std::fs::read_to_string(root.join("var/lib/juju/agents/unit-tiny-0/charm/context"))
            .unwrap();
    let vars: Vec<_> = context.lines().filter_map(|line| line.split_once('=')).collect();
    let path = vars.iter().find(|(key, _)| *key == "PATH").unwrap().1.split(':').next().unwrap();
    let output = std::process::Command::new(format!("{path}/config-get"))
        .env_clear()
        .envs(vars)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&output.stderr)
            .starts_with("ERROR bad request: bad context: tiny/0-install-")
    );
}

#[test]
fn many_commits_are_one_changed_and_unchanged_values_are_none() {
    let scripts =
        [("config-changed", "relation-set -r $(relation-ids cluster) port=$(config-get port)")];
    let model = deployed(&scripts, 2);
    let count = |model: &Model| {
        model
            .hooks("tiny/1")
            .iter()
            .filter(|hook| *hook == "cluster-relation-changed tiny/0")
            .count()
    };
    let before = count(&model);
    model.set_config("tiny", &[("word", "x")]).unwrap();
    model.drain().unwrap();
    assert_eq!(count(&model), before, "the port is the same");
    model.set_config("tiny", &[("port", "9")]).unwrap();
    model.drain().unwrap();
    assert_eq!(count(&model), before + 1);
}

#[test]
fn a_removed_unit_leaves_in_order_and_the_others_see_it_depart() {
    let charm = charm(&[("cluster-relation-departed", "echo $JUJU_DEPARTING_UNIT")]);
    let model = model(5, Version::V3_6);
    model.deploy(charm.path(), "tiny", 3, &[], &["data"]).unwrap();
    let consumers = model.deploy_consumer("user", 1).unwrap();
    model.relate("tiny:db", "user:db").unwrap();
    model.drain().unwrap();
    assert_eq!(consumers, ["user/0"]);
    let seen = model.hooks("tiny/2").len();
    model.remove_unit("tiny/2").unwrap();
    model.drain().unwrap();
    let hooks = model.hooks("tiny/2").split_off(seen);
    assert!(hooks[0].starts_with("data-storage-detaching"), "{hooks:?}");
    let at = |hook: &str| {
        hooks.iter().position(|ran| ran == hook).unwrap_or_else(|| panic!("no {hook} in {hooks:?}"))
    };
    assert!(at("cluster-relation-departed tiny/0") < at("stop"));
    assert!(at("db-relation-departed user/0") < at("db-relation-broken"));
    assert!(at("db-relation-broken") < at("stop"));
    assert_eq!(hooks.last().unwrap(), "remove");
    assert!(!hooks.contains(&"cluster-relation-broken".to_owned()));
    for entry in model.journal().iter().filter(|entry| entry.hook == "cluster-relation-departed") {
        assert_eq!(entry.departing, "tiny/2");
    }
    assert!(model.hooks("tiny/0").contains(&"cluster-relation-departed tiny/2".to_owned()));
    assert_eq!(
        model.storages().values().filter(|unit| unit.is_none()).count(),
        1,
        "the storage is kept"
    );
}

#[test]
fn a_forced_removal_runs_nothing_on_the_unit() {
    let model = deployed(&[], 2);
    let leader = model.leader("tiny").unwrap();
    let seen = model.hooks(&leader).len();
    model.force_remove_unit(&leader).unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks(&leader).len(), seen);
    let rest = model.units("tiny");
    assert_eq!(model.leader("tiny").as_ref(), rest.first());
    assert!(model.hooks(&rest[0]).contains(&format!("cluster-relation-departed {leader}")));
}

#[test]
fn storage_survives_scale_to_zero_and_is_attached_again() {
    let charm = charm(&[(
        "data-storage-attached",
        "cat $JUJU_STORAGE_LOCATION/note 2>/dev/null || echo $JUJU_UNIT_NAME > $JUJU_STORAGE_LOCATION/note",
    )]);
    let model = model(1, Version::V3_6);
    model.deploy(charm.path(), "tiny", 1, &[], &["data"]).unwrap();
    model.drain().unwrap();
    model.remove_unit("tiny/0").unwrap();
    model.drain().unwrap();
    assert!(model.units("tiny").is_empty());
    assert_eq!(
        model.add_unit_with_storage("tiny", "data/0").unwrap(),
        "tiny/1",
        "numbers are not used again"
    );
    model.drain().unwrap();
    let entry = model.journal().into_iter().find(|entry| entry.unit == "tiny/1").unwrap();
    assert_eq!(entry.output, "tiny/0\n");
}

#[test]
fn actions_get_defaults_and_refuse_what_the_schema_does_not_name() {
    let greet = "action-log hello; action-set text=\"hi $(action-get name)\" result-map.message=ok; echo out";
    let model = deployed(
        &[("action:greet", greet), ("action:broken", "action-set a=b; action-fail 'no luck'")],
        1,
    );
    let done = model.run_action("tiny/0", "greet", &json!({})).unwrap();
    assert_eq!(
        (done.status.as_str(), done.results["text"].as_str(), done.stdout.as_str()),
        ("completed", "hi you", "out\n")
    );
    assert_eq!(done.log, ["hello"]);
    assert!(
        model
            .run_action("tiny/0", "greet", &json!({"nmae": "x"}))
            .unwrap_err()
            .to_string()
            .contains("nmae")
    );
    assert!(model.run_action("tiny/0", "greet", &json!({"times": 0})).is_err());
    assert!(model.run_action("tiny/0", "nothing", &json!({})).is_err());
    let failed = model.run_action("tiny/0", "broken", &json!({})).unwrap();
    assert_eq!(
        (failed.status.as_str(), failed.message.as_str(), failed.results["a"].as_str()),
        ("failed", "no luck", "b")
    );
}

#[test]
fn an_address_change_is_heard_at_the_unit_and_by_its_peers() {
    let model = deployed(&[], 2);
    let (own, peer) = (model.hooks("tiny/0").len(), model.hooks("tiny/1").len());
    let address = model.change_address("tiny/0").unwrap().to_string();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0")[own..], ["config-changed"]);
    assert_eq!(model.hooks("tiny/1")[peer..], ["cluster-relation-changed tiny/0"]);
    assert_eq!(model.databag("tiny:cluster", "tiny/0")["ingress-address"], address);
}

#[test]
fn refresh_and_reboot_run_their_hooks() {
    let model = deployed(&[], 1);
    let next = charm(&[("upgrade-charm", "test ! -e hooks/install")]);
    let seen = model.hooks("tiny/0").len();
    model.refresh("tiny", next.path()).unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0")[seen..], ["upgrade-charm", "config-changed", "start"]);
    model.start_machine("tiny/0").unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0")[seen + 3..], ["start"]);
}

#[test]
fn a_leader_change_elects_the_new_one() {
    let model = deployed(&[], 2);
    let old = model.leader("tiny").unwrap();
    let new = model.units("tiny").into_iter().find(|unit| *unit != old).unwrap();
    model.move_leader(&new).unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks(&new).last().unwrap(), "leader-elected");
    assert_ne!(model.hooks(&old).last().unwrap(), "leader-elected");
}

#[test]
fn tools_that_a_juju_lacks_are_not_there() {
    let charm = charm(&[(
        "install",
        "for t in is-leader leader-get secret-add goal-state; do command -v $t >/dev/null && echo $t; done; true",
    )]);
    let expected = [
        (Version::V1_18, ""),
        (Version::V2_9, "is-leader\nleader-get\ngoal-state\n"),
        (Version::V3_6, "is-leader\nleader-get\nsecret-add\ngoal-state\n"),
        (Version::V4_0, "is-leader\nsecret-add\ngoal-state\n"),
    ];
    for (juju, tools) in expected {
        let model = model(1, juju);
        model.deploy(charm.path(), "tiny", 1, &[], &[]).unwrap();
        model.drain().unwrap();
        assert_eq!(model.journal()[0].output, tools, "{juju}");
    }
}

#[test]
fn tool_outputs_errors_and_exit_codes_are_jujus() {
    let install = "config-get --format=json; config-get nothing --format json; config-get word; goal-state --format=json\n\
        network-get cluster --bind-address; relation-list -r 99 || echo $?; status-set bad || echo $?; config-get --what || echo $?\n\
        juju-log -- -dash; status-set --application=True active -- -dash; status-get --format=json --application=true\n\
        network-get nothing || echo $?; action-get || echo $?";
    let model = deployed(&[("install", install)], 1);
    let entry = &model.journal()[0];
    assert_eq!(entry.end, End::Done, "{}", entry.output);
    for part in [
        "{\"port\":7}\nnull\n",
        "\"units\":{\"tiny/0\":",
        "\n2\n2\n2\n",
        "\"application-status\":{\"message\":\"-dash\",\"status\":\"active\"",
        "ERROR option provided but not defined: --what",
        "ERROR invalid status \"bad\", expected one of [maintenance blocked waiting active]",
        "ERROR no network config found for binding \"nothing\"",
        "ERROR not running an action",
    ] {
        assert!(entry.output.contains(part), "no {part} in {}", entry.output);
    }
}

#[test]
fn a_secret_reaches_the_consumer_with_its_revisions() {
    let scripts = [
        (
            "leader-elected",
            "printf hush > pw; relation-set --app -r $(relation-ids cluster) id=$(secret-add --label mine password#file=pw)",
        ),
        (
            "start",
            "if [ $(is-leader) = True ]; then secret-info-get --label mine --format=json; fi",
        ),
        ("action:greet", "action-set v=$(secret-get --label mine password)"),
    ];
    let model = deployed(&scripts, 2);
    let leader = model.leader("tiny").unwrap();
    assert!(model.databag("tiny:cluster", "tiny")["id"].starts_with("secret:"));
    for unit in model.units("tiny") {
        assert_eq!(model.run_action(&unit, "greet", &json!({})).unwrap().results["v"], "hush");
    }
    let start = model
        .journal()
        .into_iter()
        .find(|entry| entry.unit == leader && entry.hook == "start")
        .unwrap();
    assert!(start.output.contains("\"revision\":1"), "{}", start.output);
    let heard = model
        .units("tiny")
        .iter()
        .filter(|unit| model.hooks(unit).contains(&"cluster-relation-changed tiny".into()))
        .count();
    assert_eq!(heard, 1, "the writer does not hear of its own application data");
}

#[test]
fn services_really_run_and_die_with_their_machine() {
    let service = "mkdir -p $R/etc; echo WORD=\"'two words'\" > $R/etc/env\n\
        cat > $R/etc/systemd/system/s.service <<X\n\
        [Service]\nType=notify\nEnvironmentFile=-$R/none\nEnvironmentFile=$R/etc/env\nRestart=always\nRestartSec=1\nRuntimeDirectory=s\n\
        ExecStart=$READY \\$WORD \\${WORD} //0.0.0.0:1\n[Install]\nWantedBy=multi-user.target\nX\n\
        systemctl daemon-reload; systemctl enable --now s.service; systemctl is-active s; systemctl show -p MainPID s";
    // Cargo builds the examples with the tests, into a folder beside theirs.
    let own = std::env::current_exe().unwrap();
    let program = own.ancestors().nth(2).unwrap().join("examples/ready");
    let program = format!("READY={}; [ -x $READY ]\n", program.display());
    let model = deployed(&[("install", &format!("R=$QUORATE_CHARM_ROOT\n{program}{service}"))], 1);
    let entry = &model.journal()[0];
    assert_eq!(entry.end, End::Done, "{}", entry.output);
    let root = model.root("tiny/0").unwrap();
    assert_eq!(
        std::fs::read_to_string(root.join("run/s/args")).unwrap(),
        format!("two|words|two words|//{}:1", model.address("tiny/0").unwrap())
    );
    let pid = |model: &Model| {
        model
            .systemctl("tiny/0", &["show", "-p", "MainPID", "--value", "s"])
            .unwrap()
            .1
            .trim()
            .to_owned()
    };
    let first = pid(&model);
    assert!(Path::new("/proc").join(&first).exists());
    model.systemctl("tiny/0", &["restart", "s"]).unwrap();
    let second = pid(&model);
    assert_ne!(first, second);
    model.kill_machine("tiny/0").unwrap();
    assert!(!Path::new("/proc").join(&second).exists());
    assert!(!model.step(), "no hook runs on a machine that is down");
    model.start_machine("tiny/0").unwrap();
    model
        .settle(std::time::Duration::from_secs(10), "the enabled service to run", |model| {
            model.systemctl("tiny/0", &["is-active", "s"]).unwrap().0 == 0
        })
        .unwrap();
    let third = pid(&model);
    drop(model);
    assert!(!Path::new("/proc").join(third).exists(), "nothing outlives the model");
}

/// A hook that waits for another unit's hook used to hold up all of them.
#[test]
fn in_parallel_a_hook_that_waits_for_another_unit_holds_nobody_up() {
    let waits = "go=\"$QUORATE_CHARM_ROOT/../go\"\n\
                 if [ $JUJU_UNIT_NAME = tiny/0 ]; then until [ -e $go ]; do sleep 0.02; done; fi";
    let lets_go = "if [ $JUJU_UNIT_NAME = tiny/1 ]; then touch \"$QUORATE_CHARM_ROOT/../go\"; fi";
    let charm = charm(&[("install", waits), ("start", lets_go)]);
    let hook_limit = std::time::Duration::from_secs(20);
    let options = Options { seed: 4, is_parallel: true, hook_limit, ..Options::default() };
    let model = Model::new(options).unwrap();
    model.deploy(charm.path(), "tiny", 2, &[], &[]).unwrap();
    model.drain().unwrap();
    let is_failure = |entry: &model::Entry| matches!(entry.end, End::Failed(_));
    let failed: Vec<_> = model.journal().into_iter().filter(is_failure).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn machines_in_parallel_come_to_the_same_end() {
    let charm = charm(&[(
        "config-changed",
        "relation-set -r $(relation-ids cluster) name=$JUJU_UNIT_NAME",
    )]);
    let model = Model::new(Options { seed: 2, is_parallel: true, ..Options::default() }).unwrap();
    model.deploy(charm.path(), "tiny", 3, &[], &[]).unwrap();
    model.drain().unwrap();
    for unit in model.units("tiny") {
        assert_eq!(model.databag("tiny:cluster", &unit)["name"], unit);
        assert_eq!(model.hooks(&unit).iter().filter(|hook| hook.contains("-joined")).count(), 2);
    }
}

#[test]
fn a_consumer_is_heard_and_shows_what_it_was_given() {
    let relation = "relation-set given=$(relation-get word)-$JUJU_REMOTE_UNIT";
    let model = deployed(&[("db-relation-changed", relation)], 2);
    model.deploy_consumer("user", 1).unwrap();
    let relation = model.relate("tiny:db", "user:any").unwrap();
    model.drain().unwrap();
    model.write_databag(relation, "user/0", &[("word", "please")]).unwrap();
    model.drain().unwrap();
    for unit in model.units("tiny") {
        assert_eq!(model.databag("user:any", &unit)["given"], "please-user/0");
    }
    model.remove_relation(relation).unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0").last().unwrap(), "db-relation-broken");
    assert!(model.related_units("user:any").is_empty());
}

#[test]
fn a_removed_application_goes_with_all_its_units() {
    let model = deployed(&[], 3);
    model.remove_app("tiny").unwrap();
    model.drain().unwrap();
    assert!(model.status().apps.is_empty() && model.status().units.is_empty());
    for entry in model.journal().iter().filter(|entry| entry.hook == "cluster-relation-departed") {
        assert_eq!(entry.departing, entry.unit, "each sees itself depart");
    }
}

#[test]
fn a_machine_that_loses_power_in_a_hook_goes_on_there_when_it_is_back() {
    let charm = charm(&[("start", "relation-ids cluster >/dev/null; status-set active ready")]);
    let model = model(1, Version::V4_0);
    model.deploy(charm.path(), "tiny", 1, &[], &[]).unwrap();
    let what = FaultKind::KillMachine;
    let hook = Some("start".into());
    model.inject(Fault { unit: "tiny/0".into(), hook, after_tool_calls: 1, what });
    model.drain().unwrap();
    assert!(!model.status().units["tiny/0"].is_up);
    assert_eq!(model.status().units["tiny/0"].status.status, "error");
    model.start_machine("tiny/0").unwrap();
    model.drain().unwrap();
    assert_eq!(model.status().units["tiny/0"].status.message, "ready");
}

#[test]
fn a_failing_hook_is_tried_a_bounded_number_of_times_and_can_be_skipped() {
    let charm = charm(&[("config-changed", "exit 3")]);
    let model = Model::new(Options { retries_max: 2, ..Options::default() }).unwrap();
    model.deploy(charm.path(), "tiny", 1, &[], &[]).unwrap();
    model.drain().unwrap();
    let failed = model.journal().iter().filter(|entry| entry.hook == "config-changed").count();
    assert_eq!(failed, 3);
    model.resolve("tiny/0", false).unwrap();
    model.drain().unwrap();
    assert_eq!(model.hooks("tiny/0").last().unwrap(), "start");
}

#[test]
fn what_a_person_mistypes_is_refused_by_name() {
    let charm = charm(&[]);
    let model = model(1, Version::V3_6);
    let deploy = |config: &[(&str, &str)]| model.deploy(charm.path(), "tiny", 1, config, &[]);
    assert!(deploy(&[("prot", "1")]).unwrap_err().to_string().contains("\"prot\""));
    assert!(deploy(&[("port", "many")]).unwrap_err().to_string().contains("expected int"));
    deploy(&[("port", "8")]).unwrap();
    assert!(model.relate("tiny:nothing", "tiny:db").is_err());
    assert!(model.run_action("tiny/9", "greet", &json!({})).is_err());
}
