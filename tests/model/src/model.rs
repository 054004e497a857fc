//! The face of the stand-in: what a person or a test does to a Juju model.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::busy::Busy;
use crate::charm::{Charm, Role};
use crate::context::ActionRun;
use crate::error::{At, Error, Result};
use crate::init::control;
use crate::journal::{Entry, Fault};
use crate::machine::{Machine, Network};
use crate::random::Random;
use crate::run::{Runner, reboot};
use crate::server::{self, lock};
use crate::state::{
    App, Bag, Counters, End, Failure, Life, Relation, State, Status, Unit, app_of, dashed,
};
use crate::status::ModelStatus;
use crate::uniter::{self, Call, Kind, tidy};
use crate::version::Version;

/// Tries of a failing hook before the unit waits for [`Model::resolve`].
const RETRIES_MAX: u32 = 8;
/// Time a hook may run by default; Juju itself knows no limit.
const HOOK_LIMIT: Duration = Duration::from_secs(300);
/// Hooks [`Model::drain`] runs before it says that the model does not come to rest.
const DRAIN_HOOKS_MAX: u32 = 5_000;
/// Machine of a consumer's unit, which has none.
pub(crate) const NO_MACHINE: u32 = u32::MAX;
/// Pause between two looks at a condition when no hook is due.
const IDLE: Duration = Duration::from_millis(50);
/// Pause between two rounds of update-status while a condition is waited for.
const UPDATE_STATUS_EVERY: Duration = Duration::from_millis(1_000);

/// How a model is played.
#[derive(Clone, Debug)]
pub struct Options {
    /// Decides every order Juju does not fix. The same seed gives the same order as long as the
    /// hooks do the same.
    pub seed: u64,
    /// The Juju that is played.
    pub juju: Version,
    /// Hooks of different machines run at the same time. Off: one after another, which replays
    /// exactly.
    pub is_parallel: bool,
    /// Tries of a failing hook before the unit waits for [`Model::resolve`].
    pub retries_max: u32,
    /// A hook that runs longer is killed and counts as failed.
    pub hook_limit: Duration,
    /// Directory of this package's executables; none: beside the running executable.
    pub programs: Option<PathBuf>,
    /// Where the model keeps its files; none: a temporary directory that goes with the model. Keep
    /// it short: unix sockets below it have to fit 108 bytes.
    pub dir: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            juju: Version::V3_6,
            is_parallel: false,
            retries_max: RETRIES_MAX,
            hook_limit: HOOK_LIMIT,
            programs: None,
            dir: None,
        }
    }
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Outcome {
    /// `completed` or `failed`.
    pub status: String,
    /// What `action-set` wrote, keys as written (`result-map.message`).
    pub results: Bag,
    /// What `action-fail` said, empty otherwise.
    pub message: String,
    /// Lines of `action-log`.
    pub log: Vec<String>,
    /// What the action printed.
    pub stdout: String,
    /// What the action printed as errors.
    pub stderr: String,
    /// Exit code; none when it was killed.
    pub return_code: Option<i32>,
}

/// A Juju model with its machines. Dropping it ends every process it has started.
#[derive(Debug)]
pub struct Model {
    state: Arc<Mutex<State>>,
    network: Mutex<Network>,
    runner: Arc<Runner>,
    busy: Arc<Busy>,
    options: Options,
    programs: PathBuf,
    /// Held while hooks or an action run: an action waits for hooks, hooks for an action. Not the
    /// state's lock, which the tools of what runs need.
    turn: Mutex<()>,
    _dir: Option<tempfile::TempDir>,
}

impl Model {
    /// An empty model. Errors when the package's executables cannot be found or no loopback
    /// network is free.
    pub fn new(options: Options) -> Result<Self> {
        let (dir, held) = match &options.dir {
            Some(dir) => (dir.clone(), None),
            None => {
                let held =
                    tempfile::Builder::new().prefix("qm").tempdir().at("temporary directory")?;
                (held.path().to_owned(), Some(held))
            }
        };
        for folder in ["tools", "bin", "out"] {
            std::fs::create_dir_all(dir.join(folder)).at(dir.display())?;
        }
        let programs = programs(options.programs.as_deref())?;
        for tool in crate::system::TOOLS {
            link(&programs.join("system-tool"), &dir.join("bin").join(tool))?;
        }
        let state = Arc::new(Mutex::new(State {
            juju: options.juju,
            random: Random::new(options.seed),
            model_uuid: format!("00000000-0000-4000-8000-{:012x}", options.seed & 0xffff_ffff_ffff),
            apps: BTreeMap::new(),
            units: BTreeMap::new(),
            machines: BTreeMap::new(),
            relations: BTreeMap::new(),
            storages: BTreeMap::new(),
            secrets: BTreeMap::new(),
            contexts: BTreeMap::new(),
            journal: Vec::new(),
            log: Vec::new(),
            faults: Vec::new(),
            proxies: Bag::new(),
            counters: Counters::default(),
            is_closed: false,
        }));
        server::listen(&dir.join("agent.sock"), Arc::clone(&state))?;
        let runner = Arc::new(Runner { dir, hook_limit: options.hook_limit });
        Ok(Self {
            state,
            network: Mutex::new(Network::claim()?),
            runner,
            busy: Arc::default(),
            options,
            programs,
            turn: Mutex::new(()),
            _dir: held,
        })
    }

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

    fn new_app(
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

    fn new_unit(&self, app: &str, machine: Option<u32>) -> Result<String> {
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

    fn new_machine(&self) -> Result<u32> {
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

    /// `juju remove-unit`: the unit leaves in order, its storage is kept. See
    /// [`Model::remove_unit_destroying_storage`] and [`Model::force_remove_unit`].
    pub fn remove_unit(&self, unit: &str) -> Result<()> {
        let mut state = lock(&self.state);
        state.unit_mut(unit)?.life = Life::Dying;
        Ok(())
    }

    /// `juju remove-unit --destroy-storage`.
    pub fn remove_unit_destroying_storage(&self, unit: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let unit = state.unit_mut(unit)?;
        (unit.life, unit.keeps_storage) = (Life::Dying, false);
        Ok(())
    }

    /// `juju remove-unit --force`: nothing runs on the unit any more, its machine is switched off,
    /// the others see it departed.
    pub fn force_remove_unit(&self, unit: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let machine = state.unit(unit)?.machine;
        server::kill_hooks(&mut state, machine);
        uniter::remove_unit(&mut state, unit);
        if let Some(machine) = state.machines.get_mut(&machine)
            && machine.is_up
        {
            machine.power_off();
        }
        Ok(())
    }

    /// `juju remove-application`: every unit leaves at once.
    pub fn remove_app(&self, app: &str) -> Result<()> {
        let mut state = lock(&self.state);
        state.app_mut(app)?.is_dying = true;
        for unit in state.units_of(app) {
            state.unit_mut(&unit)?.life = Life::Dying;
        }
        for relation in state
            .relations
            .values_mut()
            .filter(|relation| relation.end(app).is_some() && !relation.is_peer())
        {
            relation.is_dying = true;
        }
        Ok(())
    }

    /// `juju integrate app:endpoint app:endpoint`. Endpoints of consumers may have any name.
    pub fn relate(&self, one: &str, other: &str) -> Result<u32> {
        let mut state = lock(&self.state);
        let (one, other) = (end(&state, one)?, end(&state, other)?);
        let interface = |end: &End| {
            state.apps[&end.app]
                .charm
                .as_ref()
                .map(|charm| charm.endpoints[&end.endpoint].1.clone())
        };
        if let (Some(first), Some(second)) = (interface(&one), interface(&other))
            && (first != second || one.role == other.role)
        {
            return Err(Error::new(format!(
                "no relations found between {}:{} and {}:{}",
                one.app, one.endpoint, other.app, other.endpoint
            )));
        }
        Ok(add_relation(&mut state, vec![one, other]))
    }

    /// `juju remove-relation` by the number [`Model::relate`] gave.
    pub fn remove_relation(&self, relation: u32) -> Result<()> {
        let mut state = lock(&self.state);
        let found = state.relations.get_mut(&relation).filter(|relation| !relation.is_peer());
        found.ok_or_else(|| Error::new(format!("relation {relation} not found")))?.is_dying = true;
        Ok(())
    }

    /// `juju config app option=value`.
    pub fn set_config(&self, app: &str, config: &[(&str, &str)]) -> Result<()> {
        let mut state = lock(&self.state);
        let app = state.app_mut(app)?;
        let Some(charm) = &app.charm else { return Err(Error::new("a consumer has no options")) };
        for (option, typed) in config {
            app.config.insert((*option).to_owned(), charm.option_value(option, typed)?);
        }
        Ok(())
    }

    /// `juju config app --reset option`.
    pub fn reset_config(&self, app: &str, option: &str) -> Result<()> {
        lock(&self.state).app_mut(app)?.config.remove(option);
        Ok(())
    }

    /// `juju refresh --path`: the units get upgrade-charm, config-changed, start.
    pub fn refresh(&self, app: &str, charm: &Path) -> Result<()> {
        let charm = Charm::read(charm)?;
        let mut state = lock(&self.state);
        let app = state.app_mut(app)?;
        (app.charm, app.charm_revision) = (Some(charm), app.charm_revision + 1);
        Ok(())
    }

    /// `juju attach-resource`: upgrade-charm follows when units are there.
    pub fn attach_resource(&self, app: &str, name: &str, file: &Path) -> Result<()> {
        let mut state = lock(&self.state);
        let app = state.app_mut(app)?;
        app.resources.insert(name.into(), file.into());
        app.charm_revision += 1;
        Ok(())
    }

    /// `juju model-config juju-http-proxy=...`: `kind` is HTTP, HTTPS, FTP or NO.
    pub fn set_proxy(&self, kind: &str, value: &str) {
        lock(&self.state).proxies.insert(format!("JUJU_CHARM_{kind}_PROXY"), value.into());
    }

    /// Moves the lease to a unit. The units hear of it in their own time; the old leader, from
    /// Juju 4 on, never.
    pub fn move_leader(&self, to: &str) -> Result<()> {
        let mut state = lock(&self.state);
        state.unit(to)?;
        server::move_leader(&mut state, to);
        Ok(())
    }

    /// Lets something go wrong in the middle of a hook, once.
    pub fn inject(&self, fault: Fault) {
        lock(&self.state).faults.push(fault);
    }

    /// `juju resolved`: runs the failed hook again, or (`retries` false) skips it.
    pub fn resolve(&self, unit: &str, retries: bool) -> Result<()> {
        let mut state = lock(&self.state);
        let Some(failure) = state.unit_mut(unit)?.error.take() else {
            return Err(Error::new(format!("unit \"{unit}\" is not in an error state")));
        };
        if retries {
            state.unit_mut(unit)?.error = Some(Failure { call: failure.call, tries: 0 });
        } else {
            uniter::complete(&mut state, unit, &failure.call, u64::MAX);
        }
        Ok(())
    }

    /// Power loss: everything the unit's machine runs gets SIGKILL, and no hook runs there until
    /// [`Model::start_machine`]. Juju's lease moves on.
    pub fn kill_machine(&self, unit: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let machine = state.unit(unit)?.machine;
        server::kill_hooks(&mut state, machine);
        state.machines.get_mut(&machine).ok_or_else(|| Error::new("no machine"))?.power_off();
        Ok(())
    }

    /// Power is back: enabled services start, the unit gets a `start` hook.
    pub fn start_machine(&self, unit: &str) -> Result<()> {
        reboot(&mut lock(&self.state), unit)
    }

    /// The machine gets another address; config-changed follows there, changed at the peers. The
    /// old address stays reachable until what listens on it is restarted.
    pub fn change_address(&self, unit: &str) -> Result<Ipv4Addr> {
        let address =
            self.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner).address()?;
        let mut state = lock(&self.state);
        let number = state.unit(unit)?.machine;
        let machine = state.machines.get_mut(&number).ok_or_else(|| Error::new("no machine"))?;
        machine.address = address;
        if machine.is_up {
            control::ask(&machine.root, &["address".into(), address.to_string()])?;
        }
        let units: Vec<String> = state
            .units
            .iter()
            .filter(|(_, unit)| unit.machine == number)
            .map(|(name, _)| name.clone())
            .collect();
        for unit in units {
            let keys = state.network_keys(&unit);
            for relation in state.relations.values_mut() {
                if let Some(bag) = relation.bags.get_mut(&unit) {
                    bag.apply(&keys);
                }
            }
        }
        Ok(address)
    }

    /// The interval of update-status is over: every started unit runs it once it is idle.
    pub fn update_status(&self) {
        for unit in lock(&self.state)
            .units
            .values_mut()
            .filter(|unit| unit.is_started && unit.life == Life::Alive)
        {
            unit.must_update_status = true;
        }
    }

    /// Ends every process of the model; hooks can no longer be run. Dropping does the same.
    pub fn close(&self) {
        server::close(&self.runner.dir.join("agent.sock"), &self.state);
    }

    /// Runs one hook (parallel: begins one on each machine that is free and has one due, and waits
    /// until one ends; a hook that waits for another unit's holds nobody up). False when none is
    /// due and none runs.
    pub fn step(&self) -> bool {
        let _turn = self.turn();
        let chosen = self.choose();
        if self.options.is_parallel {
            return self.begin(chosen);
        }
        for (unit, call) in &chosen {
            self.runner.run(&self.state, unit, call, None);
        }
        !chosen.is_empty()
    }

    fn begin(&self, chosen: Vec<(String, Call)>) -> bool {
        let has_begun = !chosen.is_empty();
        let mut machines = self.busy.machines();
        for (unit, call) in chosen {
            let machine = lock(&self.state).units.get(&unit).map_or(NO_MACHINE, |one| one.machine);
            let running = self.busy.begin(machine);
            machines.insert(machine);
            let (state, runner) = (self.state.clone(), self.runner.clone());
            std::thread::spawn(move || {
                runner.run(&state, &unit, &call, None);
                drop(running);
            });
        }
        // Not for long: what the caller waits for may come about while a hook runs.
        self.busy.wait(&machines, IDLE) || has_begun
    }

    fn turn(&self) -> std::sync::MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn choose(&self) -> Vec<(String, Call)> {
        let mut state = lock(&self.state);
        tidy(&mut state);
        let mut random = std::mem::replace(&mut state.random, Random::new(0));
        let mut due: Vec<(String, Call)> = Vec::new();
        for (name, unit) in &state.units {
            let is_up = state.machines.get(&unit.machine).is_some_and(|machine| machine.is_up);
            let is_waiting =
                unit.error.as_ref().is_some_and(|failure| failure.tries > self.options.retries_max);
            if is_up
                && !is_waiting
                && let Some(call) = uniter::next(&state, &mut random, name)
            {
                due.push((name.clone(), call));
            }
        }
        let mut chosen = Vec::new();
        let mut machines = self.busy.machines();
        while let Some((unit, call)) = random.pick(&due).cloned() {
            due.retain(|(other, _)| *other != unit);
            if machines.insert(state.units[&unit].machine) {
                chosen.push((unit, call));
            }
            if !self.options.is_parallel {
                break;
            }
        }
        state.random = random;
        chosen
    }

    /// Runs hooks until none is due. Errors when that does not end.
    pub fn drain(&self) -> Result<()> {
        for _ in 0..DRAIN_HOOKS_MAX {
            if !self.step() {
                return Ok(());
            }
        }
        Err(Error::new(format!(
            "the model does not come to rest: {DRAIN_HOOKS_MAX} hooks were run\n{}",
            self.journal_text(40)
        )))
    }

    /// Runs hooks until none is due and the condition holds, with update-status in between.
    /// Errors after `limit`, with status and journal, and what the condition was waiting for.
    pub fn settle(
        &self,
        limit: Duration,
        what: &str,
        mut holds: impl FnMut(&Self) -> bool,
    ) -> Result<()> {
        let until = Instant::now() + limit;
        let mut next_update = Instant::now() + UPDATE_STATUS_EVERY;
        loop {
            let is_idle = !self.step();
            if is_idle && holds(self) {
                return Ok(());
            }
            let now = Instant::now();
            if now > until {
                let seed = self.options.seed;
                let text = format!(
                    "seed {seed}: not within {} s: {what}\n{}\n{}",
                    limit.as_secs(),
                    self.status().to_text(),
                    self.journal_text(60)
                );
                return Err(Error::new(text));
            }
            if is_idle && now >= next_update {
                self.update_status();
                next_update = now + UPDATE_STATUS_EVERY;
            } else if is_idle {
                std::thread::sleep(IDLE);
            }
        }
    }

    /// `juju run unit action`. Waits for it; hooks that are due wait. Errors when the unit, the
    /// action or its parameters are not accepted: the charm never sees it.
    pub fn run_action(&self, unit: &str, action: &str, params: &Value) -> Result<Outcome> {
        let _turn = self.turn();
        let (call, run) = {
            let mut state = lock(&self.state);
            let unit_state = state.unit(unit)?;
            if !unit_state.is_installed {
                return Err(Error::new(format!(
                    "unit \"{unit}\" is not installed yet: settle the model first"
                )));
            }
            if let Some(failure) = &unit_state.error {
                return Err(Error::new(format!(
                    "unit \"{unit}\" is in error (hook failed: \"{}\"): resolve it first",
                    failure.call.hook
                )));
            }
            if !state.machine_of(unit).is_some_and(|machine| machine.is_up) {
                return Err(Error::new(format!("unit \"{unit}\": its machine is down")));
            }
            let charm = state.app(app_of(unit))?.charm.as_ref();
            let schema = charm.and_then(|charm| charm.actions.get(action)).cloned();
            let schema = schema.ok_or_else(|| {
                Error::new(format!("action \"{action}\" not defined for unit \"{unit}\""))
            })?;
            let given = params.as_object().cloned().unwrap_or_default();
            let params: Map<String, Value> =
                crate::schema::admit(&schema, &given, self.options.juju.takes_unknown_params())?;
            state.counters.action += 1;
            let run = ActionRun { id: state.counters.action, params, ..ActionRun::default() };
            (Call { hook: action.into(), kind: Kind::Action(action.into()) }, run)
        };
        let machine = self.machine(unit)?;
        self.busy.wait_for(machine);
        let ran = self.runner.run(&self.state, unit, &call, Some(run));
        let run = ran.action.unwrap_or_default();
        let message = match (&run.failure, &ran.entry.end) {
            (Some(failure), _) => failure.clone(),
            (None, crate::journal::End::Done) => String::new(),
            (None, crate::journal::End::Missing) => {
                format!("action \"{action}\" not implemented on unit \"{unit}\"")
            }
            (None, crate::journal::End::Failed(why) | crate::journal::End::Refused(why)) => {
                why.clone()
            }
        };
        let status =
            if message.is_empty() && run.failure.is_none() { "completed" } else { "failed" };
        Ok(Outcome {
            status: status.into(),
            results: run.results,
            message,
            log: run.log,
            stdout: ran.stdout,
            stderr: ran.stderr,
            return_code: ran.code,
        })
    }

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

    /// Writes a consumer unit's databag; an empty value deletes.
    pub fn write_databag(&self, relation: u32, unit: &str, values: &[(&str, &str)]) -> Result<()> {
        let mut state = lock(&self.state);
        let writes: Bag =
            values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let relation = state
            .relations
            .get_mut(&relation)
            .ok_or_else(|| Error::new(format!("relation {relation} not found")))?;
        relation.bags.entry(unit.into()).or_default().apply(&writes);
        Ok(())
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

impl Drop for Model {
    fn drop(&mut self) {
        self.close();
    }
}

fn end(state: &State, text: &str) -> Result<End> {
    let (app, endpoint) = text
        .split_once(':')
        .ok_or_else(|| Error::new(format!("\"{text}\": expected application:endpoint")))?;
    let role = match &state.app(app)?.charm {
        None => Role::Requires,
        Some(charm) => {
            charm
                .endpoints
                .get(endpoint)
                .ok_or_else(|| {
                    Error::new(format!("application \"{app}\" has no \"{endpoint}\" relation"))
                })?
                .0
        }
    };
    Ok(End { app: app.into(), endpoint: endpoint.into(), role })
}

fn add_relation(state: &mut State, ends: Vec<End>) -> u32 {
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

/// Cargo puts a package's executables beside, or one above, its tests.
fn programs(given: Option<&Path>) -> Result<PathBuf> {
    let own = std::env::current_exe().at("own executable")?;
    let mut places: Vec<&Path> = given.into_iter().collect();
    places.extend(own.ancestors().skip(1).take(2));
    places
        .into_iter()
        .find(|dir| ["hook-tool", "machine-init", "system-tool"].iter().all(|name| dir.join(name).exists()))
        .map(Path::to_owned)
        .ok_or_else(|| Error::new(format!("hook-tool, machine-init and system-tool are not beside {}: run `cargo build -p quorate-model`", own.display())))
}

fn link(program: &Path, name: &Path) -> Result<()> {
    match std::os::unix::fs::symlink(program, name) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(error).at(name.display())
        }
        _ => Ok(()),
    }
}
