//! What the controller knows: applications, units, machines, relations, storage, secrets.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::Value;

use crate::charm::{Charm, Role};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::journal::{Entry, Fault};
use crate::machine::Machine;
use crate::random::Random;
use crate::version::Version;

/// Keys and values of a databag, a config, a secret.
pub type Bag = BTreeMap<String, String>;

/// A status with its message.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// `active`, `waiting`, ... as Juju names them.
    pub status: String,
    /// One line, may be empty.
    pub message: String,
}

impl Status {
    pub(crate) fn new(status: &str, message: &str) -> Self {
        Self { status: status.into(), message: message.into() }
    }
}

/// The controller's database.
#[derive(Debug)]
pub(crate) struct State {
    pub juju: Version,
    pub random: Random,
    pub model_uuid: String,
    pub apps: BTreeMap<String, App>,
    pub units: BTreeMap<String, Unit>,
    pub machines: BTreeMap<u32, Machine>,
    pub relations: BTreeMap<u32, Relation>,
    pub storages: BTreeMap<String, Storage>,
    pub secrets: BTreeMap<String, Secret>,
    pub contexts: BTreeMap<String, Context>,
    pub journal: Vec<Entry>,
    pub log: Vec<String>,
    pub faults: Vec<Fault>,
    pub proxies: Bag,
    pub counters: Counters,
    pub is_closed: bool,
}

/// The numbers that are given out once.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub machine: u32,
    pub relation: u32,
    pub storage: u32,
    pub secret: u32,
    pub context: u32,
    pub action: u32,
}

#[derive(Debug)]
pub(crate) struct App {
    /// None: a consumer, which runs no hooks.
    pub charm: Option<Charm>,
    pub charm_revision: u32,
    /// Set by a person.
    pub config: BTreeMap<String, Value>,
    pub resources: BTreeMap<String, PathBuf>,
    pub next_unit: u32,
    pub leader: Option<String>,
    pub status: Option<Status>,
    pub workload_version: String,
    pub leader_settings: Bag,
    pub leader_settings_version: u64,
    pub is_dying: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Alive,
    Dying,
}

#[derive(Debug)]
pub(crate) struct Unit {
    pub app: String,
    pub machine: u32,
    pub life: Life,
    pub is_installed: bool,
    pub is_started: bool,
    pub is_stopped: bool,
    pub must_start: bool,
    pub must_update_status: bool,
    /// What config-changed last ran with.
    pub config_seen: Option<String>,
    pub charm_revision: u32,
    /// The role the hooks last heard of.
    pub is_leader_seen: Option<bool>,
    pub leader_settings_seen: u64,
    pub scopes: BTreeMap<u32, Scope>,
    pub error: Option<Failure>,
    pub status: Status,
    pub ports: BTreeSet<String>,
    pub state: Bag,
    /// Secret to the revision this unit follows.
    pub tracked: BTreeMap<String, u32>,
    /// Secret to the newest revision secret-changed was run for.
    pub announced: BTreeMap<String, u32>,
    pub labels: BTreeMap<String, String>,
    pub keeps_storage: bool,
}

/// A failed hook that is tried again.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub call: crate::uniter::Call,
    pub tries: u32,
}

/// What one unit's hooks have heard of one relation.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    pub is_created: bool,
    pub is_broken: bool,
    /// Unit to the version of its bag that was last announced.
    pub members: BTreeMap<String, u64>,
    /// Application to the version of its bag that was last announced.
    pub apps: BTreeMap<String, u64>,
    /// Joined was run for it, changed has to follow.
    pub must_change: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct End {
    pub app: String,
    pub endpoint: String,
    pub role: Role,
}

#[derive(Debug)]
pub(crate) struct Relation {
    /// One end for peers, two otherwise.
    pub ends: Vec<End>,
    /// Bags of units and applications; those of departed units stay.
    pub bags: BTreeMap<String, Versioned>,
    pub in_scope: BTreeSet<String>,
    pub is_dying: bool,
}

/// A databag and how often it has changed.
#[derive(Debug, Default)]
pub(crate) struct Versioned {
    pub values: Bag,
    pub version: u64,
}

impl Versioned {
    /// Applies writes, an empty value deletes. The version counts only real changes.
    pub(crate) fn apply(&mut self, writes: &Bag) -> bool {
        let mut next = self.values.clone();
        overlay(&mut next, writes);
        let is_changed = next != self.values;
        if is_changed {
            self.values = next;
            self.version += 1;
        }
        is_changed
    }
}

/// Puts writes over values; an empty one deletes.
pub(crate) fn overlay(values: &mut Bag, writes: &Bag) {
    for (key, value) in writes {
        if value.is_empty() {
            values.remove(key);
        } else {
            values.insert(key.clone(), value.clone());
        }
    }
}

#[derive(Debug)]
pub(crate) struct Storage {
    pub name: String,
    pub location: PathBuf,
    pub unit: Option<String>,
    /// Whether storage-attached has been run.
    pub is_attached: bool,
}

#[derive(Debug)]
pub(crate) struct Secret {
    /// Unit or application.
    pub owner: String,
    pub label: String,
    pub description: String,
    pub rotate: String,
    pub revisions: BTreeMap<u32, Bag>,
    /// Relation and, when narrowed, unit.
    pub grants: BTreeSet<(u32, Option<String>)>,
}

impl Secret {
    pub(crate) fn latest(&self) -> u32 {
        self.revisions.keys().next_back().copied().unwrap_or(0)
    }
}

/// The application of a unit name.
pub(crate) fn app_of(unit: &str) -> &str {
    unit.split_once('/').map_or(unit, |(app, _)| app)
}

/// A unit name as file name: `etcd-0`.
pub(crate) fn dashed(unit: &str) -> String {
    unit.replace('/', "-")
}

impl Relation {
    pub(crate) fn is_peer(&self) -> bool {
        self.ends.len() == 1
    }

    /// The end of an application.
    pub(crate) fn end(&self, app: &str) -> Option<&End> {
        self.ends.iter().find(|end| end.app == app)
    }

    /// The application on the other side; the own one for peers.
    pub(crate) fn remote_app<'a>(&'a self, app: &'a str) -> &'a str {
        self.ends.iter().find(|end| end.app != app).map_or(app, |end| end.app.as_str())
    }

    /// Units on the other side that are in scope, without the asking one.
    pub(crate) fn remote_units(&self, unit: &str) -> Vec<String> {
        let remote = self.remote_app(app_of(unit));
        self.in_scope
            .iter()
            .filter(|other| *other != unit && app_of(other) == remote)
            .cloned()
            .collect()
    }

    pub(crate) fn version_of(&self, entity: &str) -> u64 {
        self.bags.get(entity).map_or(0, |bag| bag.version)
    }
}

impl State {
    pub(crate) fn app(&self, name: &str) -> Result<&App> {
        self.apps.get(name).ok_or_else(|| Error::new(format!("application \"{name}\" not found")))
    }

    pub(crate) fn app_mut(&mut self, name: &str) -> Result<&mut App> {
        self.apps
            .get_mut(name)
            .ok_or_else(|| Error::new(format!("application \"{name}\" not found")))
    }

    pub(crate) fn unit(&self, name: &str) -> Result<&Unit> {
        self.units.get(name).ok_or_else(|| Error::new(format!("unit \"{name}\" not found")))
    }

    pub(crate) fn unit_mut(&mut self, name: &str) -> Result<&mut Unit> {
        self.units.get_mut(name).ok_or_else(|| Error::new(format!("unit \"{name}\" not found")))
    }

    pub(crate) fn is_leader(&self, unit: &str) -> bool {
        self.apps.get(app_of(unit)).is_some_and(|app| app.leader.as_deref() == Some(unit))
    }

    pub(crate) fn machine_of(&self, unit: &str) -> Option<&Machine> {
        self.machines.get(&self.units.get(unit)?.machine)
    }

    /// Names of an application's units, by number.
    pub(crate) fn units_of(&self, app: &str) -> Vec<String> {
        let mut units: Vec<_> =
            self.units.keys().filter(|unit| app_of(unit) == app).cloned().collect();
        units.sort_by_key(|unit| number_of(unit));
        units
    }

    /// The configuration a unit's hooks see; options without value and default are absent.
    pub(crate) fn config_of(&self, app: &str) -> BTreeMap<String, Option<Value>> {
        let Some(app) = self.apps.get(app) else { return BTreeMap::new() };
        let options = app.charm.iter().flat_map(|charm| &charm.options);
        options
            .map(|(name, (_, default))| {
                (name.clone(), app.config.get(name).or(default.as_ref()).cloned())
            })
            .collect()
    }

    /// What config-changed depends on: options and the machine's address (juju-surface 4.1).
    pub(crate) fn config_hash(&self, unit: &str) -> String {
        let address =
            self.machine_of(unit).map_or_else(String::new, |machine| machine.address.to_string());
        format!("{:?} {address}", self.config_of(app_of(unit)))
    }

    /// The keys Juju itself puts into a unit's databag.
    pub(crate) fn network_keys(&self, unit: &str) -> Bag {
        let Some(machine) = self.machine_of(unit) else { return Bag::new() };
        let address = machine.address.to_string();
        Bag::from([
            ("egress-subnets".into(), format!("{address}/32")),
            ("ingress-address".into(), address.clone()),
            ("private-address".into(), address),
        ])
    }

    /// Lets a unit's databag appear to the other side.
    pub(crate) fn enter_scope(&mut self, unit: &str, relation: u32) {
        let keys = self.network_keys(unit);
        if let Some(relation) = self.relations.get_mut(&relation) {
            relation.bags.entry(unit.into()).or_default().apply(&keys);
            relation.in_scope.insert(unit.into());
        }
    }

    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.log.push(line.into());
    }
}

/// The number of a unit name, 0 when it has none.
pub(crate) fn number_of(unit: &str) -> u32 {
    unit.split_once('/').and_then(|(_, number)| number.parse().ok()).unwrap_or(0)
}
