//! Applications, units and machines that come.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::{Model, NO_MACHINE, link};
use crate::charm::{Charm, Role};
use crate::error::{At, Error, Result};
use crate::machine::Machine;
use crate::server::lock;
use crate::state::{App, Bag, End, Life, Relation, State, Status, Unit, dashed};
use crate::uniter::tidy;

impl Model {
    /// `juju deploy`: an application with `count` units from an unpacked charm. `config` is
    /// typed as at the command line, each name in `storage` is attached once to each unit. No hook
    /// runs yet: see [`Model::step`] and [`Model::settle`].
    pub fn deploy(
        &self,
        charm: &Path,
        app: &str,
        count: u32,
        config: &[(&str, &str)],
        storage: &[&str],
    ) -> Result<Vec<String>> {
        let charm = Charm::read(charm)?;
        let mut values = BTreeMap::new();
        for (option, typed) in config {
            values.insert((*option).to_owned(), charm.option_value(option, typed)?);
        }
        let peers: Vec<String> = charm
            .endpoints
            .iter()
            .filter(|(_, (role, _))| *role == Role::Peer)
            .map(|(name, _)| name.clone())
            .collect();
        self.new_app(app, Some(charm), values)?;
        for endpoint in peers {
            let end = End { app: app.into(), endpoint, role: Role::Peer };
            add_relation(&mut lock(&self.state), vec![end]);
        }
        self.add_units(app, count, storage)
    }

    /// A consumer: an application without charm whose units show and write databags, and run
    /// nothing. Relate it with [`Model::relate`], read it with [`Model::databag`].
    pub fn deploy_consumer(&self, app: &str, count: u32) -> Result<Vec<String>> {
        self.new_app(app, None, BTreeMap::new())?;
        self.add_units(app, count, &[])
    }

    pub(super) fn new_app(
        &self,
        name: &str,
        charm: Option<Charm>,
        config: BTreeMap<String, Value>,
    ) -> Result<()> {
        let mut state = lock(&self.state);
        if state.apps.contains_key(name) {
            return Err(Error::new(format!("application \"{name}\" already exists")));
        }
        let app = App {
            charm,
            charm_revision: 0,
            config,
            resources: BTreeMap::new(),
            next_unit: 0,
            leader: None,
            status: None,
            workload_version: String::new(),
            leader_settings: Bag::new(),
            leader_settings_version: 0,
            is_dying: false,
        };
        state.apps.insert(name.into(), app);
        Ok(())
    }

    /// `juju add-unit -n`: new units, each on a machine of its own. Gives their names.
    pub fn add_units(&self, app: &str, count: u32, storage: &[&str]) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for _ in 0..count {
            let name = self.new_unit(app, None)?;
            let mut state = lock(&self.state);
            let always = state
                .app(app)?
                .charm
                .as_ref()
                .map(|charm| charm.storage.clone())
                .unwrap_or_default();
            for (storage_name, least) in &always {
                let asked = storage.iter().filter(|asked| *asked == storage_name).count();
                for _ in 0..asked.max(*least as usize) {
                    crate::storage::provision(&mut state, &name, storage_name);
                }
            }
            if let Some(unknown) = storage.iter().find(|asked| !always.contains_key(**asked)) {
                return Err(Error::new(format!(
                    "application \"{app}\" has no storage \"{unknown}\""
                )));
            }
            names.push(name);
        }
        // The lease is claimed by one of them; with all in view the seed can pick any.
        tidy(&mut lock(&self.state));
        Ok(names)
    }

    /// `juju add-unit --attach-storage data/0`: a new unit with a kept storage.
    pub fn add_unit_with_storage(&self, app: &str, storage: &str) -> Result<String> {
        let name = self.new_unit(app, None)?;
        crate::storage::reattach(&mut lock(&self.state), &name, storage)?;
        Ok(name)
    }

    /// `juju add-unit --to`: a new unit on a machine that is there. Units of one machine run their
    /// hooks one at a time.
    pub fn add_unit_to(&self, app: &str, machine: u32) -> Result<String> {
        self.new_unit(app, Some(machine))
    }

    pub(super) fn new_unit(&self, app: &str, machine: Option<u32>) -> Result<String> {
        let (name, has_charm) = {
            let mut state = lock(&self.state);
            let app_state = state.app_mut(app)?;
            let name = format!("{app}/{}", app_state.next_unit);
            app_state.next_unit += 1;
            (name, app_state.charm.is_some())
        };
        if has_charm {
            let tools = self.runner.dir.join("tools").join(dashed(&name));
            std::fs::create_dir_all(&tools).at(tools.display())?;
            for tool in self.options.juju.tools() {
                link(&self.programs.join("hook-tool"), &tools.join(tool))?;
            }
        }
        let machine = match machine {
            Some(machine) => machine,
            None if has_charm => self.new_machine()?,
            None => NO_MACHINE,
        };
        let unit = Unit {
            app: app.into(),
            machine,
            life: Life::Alive,
            is_installed: false,
            is_started: false,
            is_stopped: false,
            must_start: false,
            must_update_status: false,
            config_seen: None,
            charm_revision: 0,
            is_leader_seen: None,
            leader_settings_seen: 0,
            scopes: BTreeMap::new(),
            error: None,
            status: if has_charm {
                Status::new("waiting", "installing agent")
            } else {
                Status::new("active", "")
            },
            ports: std::collections::BTreeSet::new(),
            state: Bag::new(),
            tracked: BTreeMap::new(),
            announced: BTreeMap::new(),
            labels: BTreeMap::new(),
            keeps_storage: true,
        };
        lock(&self.state).units.insert(name.clone(), unit);
        Ok(name)
    }

    pub(super) fn new_machine(&self) -> Result<u32> {
        let address =
            self.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner).address()?;
        let number = {
            let mut state = lock(&self.state);
            state.counters.machine += 1;
            state.counters.machine - 1
        };
        let root = self.runner.dir.join(format!("m{number}"));
        let machine = Machine::start(&self.programs.join("machine-init"), root, address)?;
        lock(&self.state).machines.insert(number, machine);
        Ok(number)
    }
}

pub(super) fn add_relation(state: &mut State, ends: Vec<End>) -> u32 {
    let id = state.counters.relation;
    state.counters.relation += 1;
    let relation = Relation {
        ends,
        bags: BTreeMap::new(),
        in_scope: std::collections::BTreeSet::new(),
        is_dying: false,
    };
    state.relations.insert(id, relation);
    tidy(state);
    id
}
