//! Whole hooks against a machine whose programs, hook tools and agent are scripts. What a hook wrote
//! to a databag is seen after [`Machine::flush`], as with Juju.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::time::Duration;

use juju::{Environment, Tools};
use tempfile::TempDir;

use crate::limits::Limits;
use crate::paths::Paths;
use crate::rollback::{RolledBack, roll_back_release};
use crate::run::{Unit, reconcile};
use crate::service::Service;

/// All hook tools; what it answers lies in files beside it.
const TOOL: &str = r#"#!/bin/sh
d=$(dirname "$0")/..; t=$(basename "$0")
echo "$t $*" >> "$d/calls"
case "$t" in
  is-leader) echo true ;;
  config-get) cat "$d/config" ;;
  goal-state) cat "$d/goal" ;;
  network-get) echo '{"bind-addresses":[{"addresses":[{"value":"10.0.0.1"}]}],"ingress-addresses":["10.0.0.1"]}' ;;
  unit-get) echo '"10.0.0.1"' ;;
  resource-get) echo 'ERROR resource not found' >&2; exit 1 ;;
  relation-ids) case "$1" in cluster|proxy) echo "[\"$1:0\"]" ;; *) echo '[]' ;; esac ;;
  relation-get) case "$*" in *--app*) cat "$d/bag-app" ;; *cluster*) cat "$d/bag-cluster" ;; *) cat "$d/bag-proxy" ;; esac ;;
  relation-set) case "$*" in *--app*) cat > "$d/set-app" ;; *cluster*) cat > "$d/set-cluster" ;; *) cat > "$d/set-proxy" ;; esac ;;
  opened-ports) echo '["9/tcp"]' ;;
  status-set) echo "$*" > "$d/$1" ;;
  *) echo null ;;
esac
"#;

/// The service manager: a start is noted with what it starts.
const SYSTEMCTL: &str = r#"#!/bin/sh
d=$(dirname "$0")/..
echo "systemctl $*" >> "$d/calls"
case "$1" in
  is-active) cat "$d/service"; [ "$(cat "$d/service")" = active ] ;;
  start) [ -e "$d/no-start" ] && { echo 'Failed to start' >&2; exit 1; }; echo active > "$d/service" ;;
  stop) echo inactive > "$d/service" ;;
  show) echo >> "$d/shows"; [ -e "$d/crashes" ] && wc -l < "$d/shows" ;;
esac
"#;

/// The agent, and the program that asks it. A release that says BROKEN is never ready.
const AGENT: &str = r#"#!/bin/sh
d=@D@
if [ "$1" = check ]; then
  [ -e "$d/refuse" ] && { echo 'quorate: --max-wals and its variable are both given' >&2; exit 2; }
  exit 0
fi
shift 5
echo "agent $*" >> "$d/calls"
case "$1" in
  status) [ "$(cat "$d/service")" = active ] || exit 3
    [ -e "$d/opt/quorate/etcd-0/current/BROKEN" ] && exit 3
    cat "$d/agent" ;;
  leave) cat "$d/leave"; exit "$(cat "$d/leave-code")" ;;
  turn) [ "$2" = take ] && [ -e "$d/turn" ] && { cat "$d/turn"; exit 1; }; echo '{}' ;;
  *) echo '{}' ;;
esac
"#;

/// The fetcher: the sum 4... differs, any other gives a release that never becomes ready.
const FETCHER: &str = r#"#!/bin/sh
d=@D@
echo "fetch $*" >> "$d/calls"
case "$*" in *"--sum 3"*) echo 'quorate-release: cannot fetch http://x/y: no route' >&2; exit 3 ;; esac
case "$*" in *"--sum 4"*) echo 'quorate-release: the sum is 5, expected 4' >&2; exit 4 ;; esac
r="$d/opt/quorate/etcd-0/releases/abcdefabcdef"
mkdir -p "$r"; cp "$d/charm/bin/quorate" "$r/quorate"; touch "$r/BROKEN"
echo '{"id":"abcdefabcdef"}'
"#;

const MEMBER: &str = r#"{"name":"etcd-0","version":"3.7.1","state":"member","cluster_id":"aa",
  "member_id":"01","leader":"01","is_ready":true,"members":[{"id":"01","name":"etcd-0",
  "peer_urls":["http://10.0.0.1:2380"],"client_urls":["http://10.0.0.1:2379"]}]}"#;

const LEFT: &str = r#"{"name":"etcd-0","version":"3.7.1","state":"left","member_id":"01"}"#;

struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["tools", "programs", "charm/bin"] {
            fs::create_dir_all(machine.path(folder)).unwrap();
        }
        let d = machine.dir.path().display().to_string();
        machine.script("tools/is-leader", TOOL);
        for tool in [
            "config-get",
            "goal-state",
            "network-get",
            "unit-get",
            "resource-get",
            "relation-ids",
            "relation-list",
            "relation-get",
            "relation-set",
            "opened-ports",
            "open-port",
            "close-port",
            "status-set",
            "status-get",
            "storage-list",
            "juju-log",
            "application-version-set",
        ] {
            symlink("is-leader", machine.path("tools").join(tool)).unwrap();
        }
        machine.script("programs/systemctl", SYSTEMCTL);
        machine.script("programs/systemd-sysusers", "#!/bin/sh\n");
        machine.script("programs/systemd-tmpfiles", "#!/bin/sh\n");
        machine.script("charm/bin/quorate", &AGENT.replace("@D@", &d));
        machine.script("charm/bin/quorate-release", &FETCHER.replace("@D@", &d));
        for (file, text) in [
            ("config", "{}"),
            ("service", "inactive"),
            ("agent", MEMBER),
            ("calls", ""),
            ("bag-app", "{}"),
            ("bag-cluster", "{}"),
            ("bag-proxy", "{}"),
            ("goal", r#"{"units":{"etcd/0":{"status":"active"}}}"#),
            ("leave", "{}"),
            ("leave-code", "0"),
        ] {
            machine.write(file, text);
        }
        machine
    }

    /// One whose cluster is formed and whose member runs.
    fn running() -> Self {
        let machine = Self::new();
        for hook in ["cluster-relation-created", "leader-elected", "config-changed"] {
            machine.hook(hook);
        }
        assert_eq!(machine.status(), "active -- Healthy with 1 known peer");
        machine.write("calls", "");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn script(&self, name: &str, text: &str) {
        self.write(name, text);
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn unit(&self, hook: &str) -> Unit {
        let charm = self.path("charm");
        let vars = [
            ("JUJU_CHARM_DIR", charm.to_str().unwrap().to_owned()),
            ("JUJU_UNIT_NAME", "etcd/0".to_owned()),
            ("JUJU_MODEL_NAME", "m".to_owned()),
            ("JUJU_MODEL_UUID", "u".to_owned()),
            ("JUJU_VERSION", "3.6.1".to_owned()),
            ("JUJU_HOOK_NAME", hook.to_owned()),
            ("JUJU_DISPATCH_PATH", format!("hooks/{hook}")),
            ("JUJU_RELATION", "cluster".to_owned()),
            ("JUJU_RELATION_ID", "cluster:0".to_owned()),
            ("JUJU_REMOTE_UNIT", "etcd/1".to_owned()),
            ("JUJU_DEPARTING_UNIT", "etcd/0".to_owned()),
        ];
        let vars = vars
            .into_iter()
            .filter(|(name, _)| hook.contains("-relation-") || !name.starts_with("JUJU_RELATION"))
            .filter(|(name, _)| {
                hook.ends_with("-departed") || !name.ends_with("_UNIT") || *name == "JUJU_UNIT_NAME"
            });
        let environment = Environment::from_vars(vars).unwrap();
        let paths = Paths::new(self.dir.path(), charm, "etcd-0");
        let service = Service::new(paths.service()).with_programs(Some(self.path("programs")));
        let short = Duration::from_millis(300);
        let limits = Limits {
            ready_max: short,
            join_max: short,
            turn_max: short,
            no_quorum_max: short,
            leave_max: short,
            poll: Duration::from_millis(10),
        };
        let tools = Tools::in_directory(self.path("tools"));
        Unit { environment, tools, paths, service, limits }
    }

    /// Runs a hook to success.
    fn hook(&self, hook: &str) {
        reconcile(&self.unit(hook)).unwrap();
        self.flush();
    }

    /// What was written becomes what is read.
    fn flush(&self) {
        for bag in ["app", "cluster", "proxy"] {
            let parse = |name: String| -> BTreeMap<String, String> {
                serde_json::from_str(&self.read(&name)).unwrap_or_default()
            };
            let mut texts = parse(format!("bag-{bag}"));
            texts.extend(parse(format!("set-{bag}")));
            texts.retain(|_, text| !text.is_empty());
            self.write(&format!("bag-{bag}"), &serde_json::to_string(&texts).unwrap());
            drop(fs::remove_file(self.path(&format!("set-{bag}"))));
        }
    }

    fn bag(&self, bag: &str) -> BTreeMap<String, String> {
        serde_json::from_str(&self.read(&format!("bag-{bag}"))).unwrap()
    }

    fn status(&self) -> String {
        let status = self.read("--application=False");
        status.trim().trim_start_matches("--application=False ").to_owned()
    }

    fn count(&self, call: &str) -> usize {
        self.read("calls").lines().filter(|line| line.starts_with(call)).count()
    }
}

#[test]
fn a_cluster_is_founded_in_the_hook_after_the_one_that_names_the_founder() {
    let machine = Machine::new();
    machine.hook("cluster-relation-created");
    assert_eq!(machine.bag("app")["founder"], "etcd/0");
    assert_eq!(machine.bag("app")["token"].len(), 16);
    assert_eq!(machine.count("systemctl start"), 0);
    assert!(machine.status().starts_with("waiting"), "{}", machine.status());

    machine.hook("leader-elected");
    assert_eq!(machine.count("systemctl start --no-block quorate-etcd-0.service"), 1);
    assert!(machine.read("etc/quorate/etcd-0/bootstrap.env").contains("STATE=\"new\""));
    assert_eq!(machine.bag("app")["cluster-id"], "aa");
    assert_eq!(machine.bag("app")["cluster-state"], "existing");
    assert_eq!(machine.bag("cluster")["peer-url"], "http://10.0.0.1:2380");
    assert_eq!(machine.bag("proxy")["cluster"], "etcd-0=http://10.0.0.1:2380");
    assert_eq!(machine.status(), "active -- Healthy with 1 known peer");
    assert_eq!((machine.count("open-port 2379/tcp"), machine.count("close-port 9/tcp")), (1, 1));

    machine.write("calls", "");
    machine.hook("config-changed");
    assert!(machine.read("etc/quorate/etcd-0/bootstrap.env").contains("STATE=\"existing\""));
    machine.hook("update-status");
    assert_eq!(machine.count("systemctl st"), 0, "nothing it reads has changed");
    assert_eq!(machine.count("relation-set"), 0, "nor anything it publishes");
}

#[test]
fn a_changed_option_restarts_once_and_a_bad_one_never() {
    let machine = Machine::running();
    machine.write("config", r#"{"port":4001}"#);
    machine.hook("config-changed");
    machine.hook("update-status");
    assert_eq!(machine.count("systemctl start"), 1);
    assert!(machine.count("open-port 4001/tcp") > 0);

    let before = machine.read("etc/quorate/etcd-0/member.env");
    machine.write("config", r#"{"port":70000}"#);
    machine.hook("config-changed");
    assert!(
        machine.status().starts_with("blocked -- option port is 70000"),
        "{}",
        machine.status()
    );
    machine.write("config", r#"{"extra-args":"--max-wals=3"}"#);
    machine.write("refuse", "");
    machine.hook("config-changed");
    let status = machine.status();
    assert!(status.starts_with("blocked") && status.contains("--max-wals"), "{status}");
    assert_eq!(machine.read("etc/quorate/etcd-0/member.env"), before);
    assert_eq!(machine.count("systemctl start"), 1);
    assert_eq!(machine.bag("cluster")["client-url"], "http://10.0.0.1:4001");
}

#[test]
fn a_release_that_never_becomes_ready_is_rolled_back_and_not_tried_again() {
    let machine = Machine::running();
    let sum = "b".repeat(64);
    let config = format!(r#"{{"bin-source":"http://x/y","source-sum":"{sum}"}}"#);
    machine.write("config", &config);
    machine.hook("config-changed");
    let status = machine.status();
    assert!(
        status.contains("abcdefabcdef did not become ready; rolled back to charm-"),
        "{status}"
    );
    let starts = machine.count("systemctl start");
    machine.hook("update-status");
    assert_eq!(machine.status(), status);
    assert_eq!((machine.count("systemctl start"), machine.count("fetch")), (starts, 1));
    assert!(!machine.path("opt/quorate/etcd-0/current/BROKEN").exists());
    machine.write("config", "{}");
    machine.hook("config-changed");
    assert_eq!(machine.status(), "active -- Healthy with 1 known peer");
}

#[test]
fn a_release_whose_process_ends_again_and_again_is_not_waited_for() {
    let machine = Machine::running();
    let sum = "b".repeat(64);
    machine.write("config", &format!(r#"{{"bin-source":"http://x/y","source-sum":"{sum}"}}"#));
    machine.write("crashes", "");
    let mut unit = machine.unit("config-changed");
    unit.limits.ready_max = Duration::from_secs(300);
    let began = std::time::Instant::now();
    reconcile(&unit).unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "it was waited for");
    assert!(machine.status().contains("rolled back to charm-"), "{}", machine.status());
}

#[test]
fn a_release_that_was_half_taken_when_the_hook_was_killed_is_rolled_back_too() {
    let machine = Machine::running();
    let sum = "b".repeat(64);
    machine.write("config", &format!(r#"{{"bin-source":"http://x/y","source-sum":"{sum}"}}"#));
    machine.write("no-start", "");
    reconcile(&machine.unit("config-changed")).unwrap_err();
    assert!(machine.path("opt/quorate/etcd-0/current/BROKEN").exists(), "it was switched");
    fs::remove_file(machine.path("no-start")).unwrap();
    machine.hook("config-changed");
    assert!(machine.status().contains("rolled back to charm-"), "{}", machine.status());
    assert_eq!(machine.read("service").trim(), "active");
}

#[test]
fn a_wrong_sum_blocks_and_changes_nothing() {
    let machine = Machine::running();
    let sum = "4".repeat(40);
    machine.write("config", &format!(r#"{{"bin-source":"file:///x","source-sum":"{sum}"}}"#));
    machine.hook("config-changed");
    machine.hook("update-status");
    let status = machine.status();
    assert_eq!(status, "blocked -- release not taken: the sum is 5, expected 4");
    assert_eq!((machine.count("fetch"), machine.count("systemctl start")), (1, 0));
}

#[test]
fn a_source_that_does_not_answer_does_not_hold_up_every_hook() {
    let machine = Machine::running();
    let sum = "3".repeat(40);
    machine.write("config", &format!(r#"{{"bin-source":"http://x/y","source-sum":"{sum}"}}"#));
    for hook in ["config-changed", "update-status", "start"] {
        machine.hook(hook);
        let expected = "blocked -- release not taken: cannot fetch http://x/y: no route";
        assert_eq!(machine.status(), expected);
    }
    assert_eq!(machine.count("fetch"), 1);
    let notes = "var/lib/quorate-charm/etcd-0/state.json";
    let mut aged: serde_json::Value = serde_json::from_str(&machine.read(notes)).unwrap();
    aged["unreachable"]["at_s"] = 0.into();
    machine.write(notes, &aged.to_string());
    machine.hook("update-status");
    assert_eq!(machine.count("fetch"), 2, "it is tried again later");
}

#[test]
fn addresses_that_were_left_behind_are_asked_and_not_waited_for() {
    let machine = Machine::new();
    let app = r#"{"token":"T","founder":"etcd/9","cluster-id":"aa","cluster":"etcd-9=http://10.0.0.9:2380"}"#;
    machine.write("bag-app", app);
    machine.write("agent", r#"{"state":"joining","reason":"nobody answers"}"#);
    let mut unit = machine.unit("config-changed");
    unit.limits.join_max = Duration::from_secs(300);
    let began = std::time::Instant::now();
    reconcile(&unit).unwrap();
    assert!(began.elapsed() < Duration::from_secs(60), "the hook waited for nobody");
    assert!(machine.read("etc/quorate/etcd-0/seeds").contains("10.0.0.9"));
    assert_eq!(machine.read("service").trim(), "active");
}

#[test]
fn an_alarm_that_keeps_turns_from_being_given_does_not_let_members_restart_together() {
    let machine = Machine::running();
    let two = MEMBER.replace(r#""members":["#, r#""members":[{"id":"02","name":"etcd-1"},"#);
    machine.write("agent", &two);
    machine.write("turn", r#"{"error":"no space","code":"no-space"}"#);
    machine.write("config", r#"{"quota-backend-bytes":1000000}"#);
    machine.hook("config-changed");
    assert!(machine.status().starts_with("blocked -- cannot restart"), "{}", machine.status());
    assert!(machine.count("agent disarm") >= 1);
    assert_eq!(machine.count("systemctl stop"), 0);
    fs::remove_file(machine.path("turn")).unwrap();
    machine.hook("update-status");
    assert_eq!(machine.count("systemctl stop"), 1);
    assert_eq!(machine.status(), "active -- Healthy with 2 known peers");
}

#[test]
fn a_unit_that_stops_leaves_first_and_stays_down() {
    for (answer, code) in [
        ("{\"state\":\"left\"}", "0"),
        ("{\"error\":\"only voter\",\"code\":\"last-voter\"}", "1"),
        ("{\"error\":\"no majority\",\"code\":\"no-quorum\"}", "1"),
    ] {
        let machine = Machine::running();
        machine.write("leave", answer);
        machine.write("leave-code", code);
        machine.hook("stop");
        assert!(machine.count("agent leave") >= 1);
        assert_eq!(machine.count("systemctl disable"), 1);
        machine.hook("update-status");
        assert_eq!(
            (machine.read("service").trim(), machine.count("systemctl start")),
            ("inactive", 0)
        );
        fs::create_dir_all(machine.path("var/lib/quorate/etcd-0/member")).unwrap();
        machine.hook("remove");
        assert!(machine.path("var/lib/quorate/etcd-0/member").exists(), "data stay");
        assert!(!machine.path("opt/quorate/etcd-0").exists());
        assert!(!machine.path("etc/systemd/system/quorate-etcd-0.service").exists());
    }
}

/// The only member was removed while two others were joining: it stopped at once, and the cluster
/// was gone.
#[test]
fn the_last_member_waits_for_those_that_are_joining_before_it_goes() {
    let machine = Machine::running();
    machine.write("leave", r#"{"error":"only voter","code":"last-voter"}"#);
    machine.write("leave-code", "1");
    machine
        .write("goal", r#"{"units":{"etcd/0":{"status":"dying"},"etcd/1":{"status":"waiting"}}}"#);
    machine.hook("cluster-relation-departed");
    assert_eq!(machine.count("agent leave"), 1, "a later hook can still wait");
    assert_eq!((machine.read("service").trim(), machine.count("systemctl stop")), ("active", 0));
    let status = machine.status();
    assert!(status.contains("waiting for another unit to have the data"), "{status}");
    machine.hook("stop");
    assert!(machine.count("agent leave") > 3, "the last hook does not wait");
    assert_eq!(machine.read("service").trim(), "inactive", "a removal is never held up for good");
}

#[test]
fn a_member_that_left_is_put_aside_when_its_unit_stays() {
    let machine = Machine::running();
    fs::create_dir_all(machine.path("var/lib/quorate/etcd-0/member")).unwrap();
    machine.write("agent", LEFT);
    machine.hook("update-status");
    let names: Vec<String> = fs::read_dir(machine.path("var/lib/quorate/etcd-0"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.len() == 1 && names[0].starts_with("member.old-"), "{names:?}");
    assert_eq!(machine.read("service").trim(), "active");
}

#[test]
fn a_hook_that_failed_in_the_middle_is_finished_by_the_next_run() {
    let machine = Machine::new();
    machine.hook("cluster-relation-created");
    machine.write("no-start", "");
    let error = reconcile(&machine.unit("leader-elected")).unwrap_err().to_string();
    assert!(error.contains("systemctl start") && error.contains("Failed to start"), "{error}");
    fs::remove_file(machine.path("no-start")).unwrap();
    machine.hook("leader-elected");
    assert_eq!(machine.status(), "active -- Healthy with 1 known peer");
}

#[test]
fn a_person_can_go_back_to_the_previous_release_and_stay_there() {
    let machine = Machine::running();
    let line = |outcome| match outcome {
        RolledBack::Refused(line) => line,
        RolledBack::Done { from, to } => format!("{from} to {to}"),
    };
    let refused = line(roll_back_release(&machine.unit("update-status")).unwrap());
    assert!(refused.contains("no previous release"), "{refused}");

    let agent = machine.read("charm/bin/quorate") + "# another build\n";
    machine.script("charm/bin/quorate", &agent);
    machine.hook("upgrade-charm");
    let done = roll_back_release(&machine.unit("update-status")).unwrap();
    assert!(matches!(done, RolledBack::Done { .. }), "{done:?}");
    let starts = machine.count("systemctl start");
    machine.hook("update-status");
    assert_eq!(machine.count("systemctl start"), starts, "it is not taken again");
}

#[test]
fn a_juju_without_leader_election_is_refused_by_name() {
    let machine = Machine::new();
    fs::rename(machine.path("tools/is-leader"), machine.path("tools/other")).unwrap();
    let error = reconcile(&machine.unit("install")).unwrap_err().to_string();
    assert!(error.contains("Juju 2.9"), "{error}");
}
