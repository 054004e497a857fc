//! The application under test, in a model of its own.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use model::{Bag, End, Model, Options};
use serde_json::Value;

use super::{Store, tree};

/// Name of the application.
pub const APP: &str = "etcd";
/// How long a cluster may take to become what it should be.
pub const SETTLE: Duration = Duration::from_secs(60);
/// Lines of each service's log that a failed test shows.
const LOG_LINES: usize = 25;
/// Lines of the model's log that a failed test shows.
const JOURNAL_LINES: usize = 80;
/// Pause between two looks at a condition that no hook brings about.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The charm, deployed as `etcd`. A panic while it lives shows status, journal and logs.
pub struct Etcd {
    /// The model it is deployed in.
    pub model: Model,
}

impl Etcd {
    /// `juju deploy ./quorate.charm etcd -n count`; no hook has run yet.
    pub fn deployed(seed: u64, count: u32) -> Self {
        let options = Options { seed, is_parallel: true, ..Options::default() };
        Self::deployed_as(options, count, &[], &[])
    }

    /// The same in a model of another kind, with config and storage.
    pub fn deployed_as(
        options: Options,
        count: u32,
        config: &[(&str, &str)],
        storage: &[&str],
    ) -> Self {
        let etcd = Self { model: Model::new(options).expect("a model") };
        let charm = tree().expect("the suite skips without a charm");
        etcd.model.deploy(&charm, APP, count, config, storage).expect("deploy");
        etcd
    }

    /// A healthy application of `count` units.
    pub fn healthy(seed: u64, count: u32) -> Self {
        let etcd = Self::deployed(seed, count);
        etcd.becomes_healthy();
        etcd
    }

    /// Lets time pass until every unit is an active member, the store's members are the units,
    /// and no hook is due. Panics after [`SETTLE`].
    pub fn becomes_healthy(&self) {
        self.settle("all units are active members of one cluster", |etcd| {
            etcd.what_is_wrong().is_none()
        });
        self.hooks_never_failed();
    }

    /// Lets time pass until the condition holds. Panics after [`SETTLE`].
    pub fn settle(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        if let Err(error) = self.model.settle(SETTLE, what, |_| holds(self)) {
            let first = error.to_string().lines().next().unwrap_or_default().to_owned();
            panic!("{first}\nwrong: {}", self.what_is_wrong().unwrap_or_default());
        }
    }

    /// Looks until the condition gives a value, without letting any hook run. Panics after
    /// [`SETTLE`].
    pub fn eventually<T>(&self, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + SETTLE;
        loop {
            if let Some(value) = condition() {
                return value;
            }
            assert!(Instant::now() < until, "not within {} s: {what}", SETTLE.as_secs());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// The first thing that keeps the application from being healthy: every unit active with the
    /// right number of peers, one cluster id everywhere, members named exactly as the units.
    pub fn what_is_wrong(&self) -> Option<String> {
        let units = self.units();
        let status = self.model.status();
        let peers = if units.len() == 1 {
            "1 known peer".into()
        } else {
            format!("{} known peers", units.len())
        };
        for unit in &units {
            let shown = &status.units[unit].status;
            if (shown.status.as_str(), &shown.message)
                != ("active", &format!("Healthy with {peers}"))
            {
                return Some(format!("{unit} shows {} \"{}\"", shown.status, shown.message));
            }
        }
        let app = &status.apps[APP].status;
        if app.status != "active" {
            return Some(format!("the application shows {} \"{}\"", app.status, app.message));
        }
        let mut clusters: Vec<Value> = Vec::new();
        for unit in &units {
            let Some(told) = self.agent(unit) else {
                return Some(format!("{unit} does not answer"));
            };
            if let Some(wrong) = wrong_members(unit, &told, &units) {
                return Some(wrong);
            }
            clusters.push(told["cluster_id"].clone());
        }
        let recorded = self.model.databag("etcd:cluster", APP).get("cluster-id").cloned();
        let recorded = recorded.map_or(Value::Null, Value::from);
        clusters
            .iter()
            .find(|id| **id != recorded)
            .map(|id| format!("cluster {id} beside the recorded {recorded}: {clusters:?}"))
    }

    /// Panics when a hook has failed, or is in error.
    pub fn hooks_never_failed(&self) {
        let failed = |end: &End| matches!(end, End::Failed(_) | End::Refused(_));
        if let Some(entry) = self.model.journal().iter().find(|entry| failed(&entry.end)) {
            panic!("a hook failed: {entry}\n{}", entry.output);
        }
    }

    /// Panics when a hook has failed for another reason than that it had lost Juju's lease.
    pub fn hooks_were_only_refused(&self) {
        let failed = |end: &End| matches!(end, End::Failed(_));
        if let Some(entry) = self.model.journal().iter().find(|entry| failed(&entry.end)) {
            panic!("a hook failed: {entry}\n{}", entry.output);
        }
    }

    /// Names of the units, by number.
    pub fn units(&self) -> Vec<String> {
        self.model.units(APP)
    }

    /// The Juju leader.
    pub fn juju_leader(&self) -> String {
        self.model.leader(APP).expect("a live application has a Juju leader")
    }

    /// The unit whose member leads the store.
    pub fn raft_leader(&self) -> String {
        self.eventually("one member is the raft leader", || {
            let leads =
                |unit: &String| self.agent(unit).is_some_and(|told| told["is_leader"] == true);
            self.units().into_iter().find(leads)
        })
    }

    /// What the unit's agent says on its admin socket; none when it does not answer.
    pub fn agent(&self, unit: &str) -> Option<Value> {
        let (code, answer) = self.admin(unit, &["status"]);
        (code == Some(0)).then_some(answer)
    }

    /// `quorate admin` at a unit: exit code and answer.
    pub fn admin(&self, unit: &str, words: &[&str]) -> (Option<i32>, Value) {
        let Ok(root) = self.model.root(unit) else { return (None, Value::Null) };
        let name = unit.replace('/', "-");
        let socket = root.join(format!("run/quorate-{name}/admin.sock"));
        let charm = tree().expect("the suite skips without a charm");
        let output = Command::new(charm.join("bin/quorate"))
            .env_clear()
            .arg("admin")
            .arg("--socket")
            .arg(socket)
            .args(words)
            .output()
            .expect("quorate admin runs");
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// The unit's data directory, without storage.
    pub fn data_dir(&self, unit: &str) -> PathBuf {
        let root = self.model.root(unit).expect("the unit has a machine");
        root.join("var/lib/quorate").join(unit.replace('/', "-"))
    }

    /// The databag of the peer relation.
    pub fn peer_bag(&self, of: &str) -> Bag {
        self.model.databag("etcd:cluster", of)
    }

    /// Names of the units but one.
    pub fn others(&self, unit: &str) -> Vec<String> {
        self.units().into_iter().filter(|other| other != unit).collect()
    }

    /// Client URL of a unit with the default port.
    pub fn client_url(&self, unit: &str) -> String {
        format!("http://{}:2379", self.model.address(unit).expect("the unit has a machine"))
    }

    /// Client URLs of the units, in the order of their numbers.
    pub fn client_urls(&self) -> Vec<String> {
        self.units().iter().map(|unit| self.client_url(unit)).collect()
    }

    /// A client of some units.
    pub fn store_of(&self, units: &[String]) -> Store {
        Store::new(&units.iter().map(|unit| self.client_url(unit)).collect::<Vec<_>>())
    }

    /// A client that uses all units' client ports.
    pub fn store(&self) -> Store {
        Store::new(&self.client_urls())
    }

    /// Names of the members, sorted, as the unit's agent knows them.
    pub fn member_names(&self, unit: &str) -> Vec<String> {
        self.agent(unit).map(|told| names(&told)).unwrap_or_default()
    }

    fn picture(&self) -> String {
        let mut text = self.model.status().to_text();
        let _ = writeln!(text, "\n{}", self.model.journal_text(JOURNAL_LINES));
        for unit in self.units() {
            let Ok(root) = self.model.root(&unit) else { continue };
            let log = root.join(format!("var/quorate-{}.service.log", unit.replace('/', "-")));
            let log = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
            let _ = writeln!(text, "\n== agent of {unit} ==\n{tail}");
        }
        text
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.picture());
        }
    }
}

fn names(told: &Value) -> Vec<String> {
    let members = told["members"].as_array().cloned().unwrap_or_default();
    let mut names: Vec<String> = members
        .iter()
        .map(|member| member["name"].as_str().unwrap_or_default().to_owned())
        .collect();
    names.sort();
    names
}

fn wrong_members(unit: &str, told: &Value, units: &[String]) -> Option<String> {
    let mut wanted: Vec<String> = units.iter().map(|unit| unit.replace('/', "-")).collect();
    wanted.sort();
    let names = names(told);
    if names != wanted {
        return Some(format!("{unit} knows members {names:?}, the units are {wanted:?}"));
    }
    if told["is_learner"] == true {
        return Some(format!("{unit} is a learner"));
    }
    (told["state"] != "member" || told["is_ready"] != true)
        .then(|| format!("{unit} is {} and ready: {}", told["state"], told["is_ready"]))
}
