//! What can be seen.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use super::Model;
use crate::error::{Error, Result};
use crate::init::control;
use crate::journal::Entry;
use crate::server::lock;
use crate::state::Bag;
use crate::status::ModelStatus;

impl Model {
    /// What `juju status` shows.
    pub fn status(&self) -> ModelStatus {
        ModelStatus::of(&lock(&self.state))
    }

    /// The application's leader.
    pub fn leader(&self, app: &str) -> Option<String> {
        lock(&self.state).apps.get(app)?.leader.clone()
    }

    /// Names of the application's units, by number.
    pub fn units(&self, app: &str) -> Vec<String> {
        lock(&self.state).units_of(app)
    }

    /// Address of a unit's machine.
    pub fn address(&self, unit: &str) -> Result<Ipv4Addr> {
        let state = lock(&self.state);
        state
            .machine_of(unit)
            .map(|machine| machine.address)
            .ok_or_else(|| Error::new(format!("unit \"{unit}\" not found")))
    }

    /// Root directory of a unit's machine (`QUORATE_CHARM_ROOT`).
    pub fn root(&self, unit: &str) -> Result<PathBuf> {
        let state = lock(&self.state);
        state
            .machine_of(unit)
            .map(|machine| machine.root.clone())
            .ok_or_else(|| Error::new(format!("unit \"{unit}\" not found")))
    }

    /// Number of a unit's machine.
    pub fn machine(&self, unit: &str) -> Result<u32> {
        Ok(lock(&self.state).unit(unit)?.machine)
    }

    /// Runs the stand-in for `systemctl` on a unit's machine: exit code and output.
    pub fn systemctl(&self, unit: &str, args: &[&str]) -> Result<(u8, String)> {
        let root = self.root(unit)?;
        let answer =
            control::ask(&root, &args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())?;
        Ok((answer.code, format!("{}{}", answer.stdout, answer.stderr)))
    }

    /// A committed databag. `of` is a unit or an application, also of the other side, also departed;
    /// `endpoint` is `app:endpoint`. The first relation of the endpoint that has such a bag.
    pub fn databag(&self, endpoint: &str, of: &str) -> Bag {
        let state = lock(&self.state);
        let (app, endpoint) = endpoint.split_once(':').unwrap_or((endpoint, ""));
        state
            .relations
            .values()
            .filter(|relation| relation.end(app).is_some_and(|end| end.endpoint == endpoint))
            .find_map(|relation| relation.bags.get(of).map(|bag| bag.values.clone()))
            .unwrap_or_default()
    }

    /// Units in the relation's scope at the endpoint `app:endpoint`, both sides.
    pub fn related_units(&self, endpoint: &str) -> Vec<String> {
        let state = lock(&self.state);
        let (app, endpoint) = endpoint.split_once(':').unwrap_or((endpoint, ""));
        let relations = state
            .relations
            .values()
            .filter(|relation| relation.end(app).is_some_and(|end| end.endpoint == endpoint));
        relations.flat_map(|relation| relation.in_scope.iter().cloned()).collect()
    }

    /// Ids of the storages, with the unit each is attached to.
    pub fn storages(&self) -> BTreeMap<String, Option<String>> {
        lock(&self.state)
            .storages
            .iter()
            .map(|(id, storage)| (id.clone(), storage.unit.clone()))
            .collect()
    }

    /// Where a storage is mounted.
    pub fn storage_location(&self, id: &str) -> Option<PathBuf> {
        lock(&self.state).storages.get(id).map(|storage| storage.location.clone())
    }

    /// Every hook and action that was run, oldest first.
    pub fn journal(&self) -> Vec<Entry> {
        lock(&self.state).journal.clone()
    }

    /// Names of the hooks a unit has run, oldest first; remote unit after a space.
    pub fn hooks(&self, unit: &str) -> Vec<String> {
        let of_unit = |entry: &&Entry| entry.unit == unit;
        let text = |entry: &Entry| format!("{} {}", entry.hook, entry.about).trim_end().to_owned();
        lock(&self.state).journal.iter().filter(of_unit).map(text).collect()
    }

    /// What was logged and printed (`juju debug-log`), oldest first.
    pub fn log(&self) -> Vec<String> {
        lock(&self.state).log.clone()
    }

    /// The last lines of the log, for messages of failed tests.
    pub fn journal_text(&self, lines: usize) -> String {
        let log = &lock(&self.state).log;
        log[log.len().saturating_sub(lines)..].join("\n")
    }
}
