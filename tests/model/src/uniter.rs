//! Which hook a unit runs next: the resolvers of the unit agent (juju-surface 4.1 to 4.3).

use crate::random::Random;
use crate::state::{Life, Scope, State, Unit, app_of};

/// A hook that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// Its file name below hooks/ or actions/.
    pub hook: String,
    pub kind: Kind,
}

/// What a hook is about, and what is remembered when it has run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Install,
    Start,
    ConfigChanged,
    Upgrade,
    Stop,
    Remove,
    UpdateStatus,
    LeaderElected,
    LeaderSettingsChanged,
    StorageAttached(String),
    StorageDetaching(String),
    SecretChanged(String),
    Created(u32),
    Joined(u32, String),
    Changed(u32, String),
    AppChanged(u32, String),
    Departed(u32, String),
    Broken(u32),
    Action(String),
}

impl Kind {
    /// The relation it is about.
    pub(crate) fn relation(&self) -> Option<u32> {
        match self {
            Self::Created(id) | Self::Broken(id) => Some(*id),
            Self::Joined(id, _)
            | Self::Changed(id, _)
            | Self::AppChanged(id, _)
            | Self::Departed(id, _) => Some(*id),
            _ => None,
        }
    }

    /// The remote unit it is about.
    pub(crate) fn remote_unit(&self) -> Option<&str> {
        match self {
            Self::Joined(_, unit) | Self::Changed(_, unit) | Self::Departed(_, unit) => Some(unit),
            _ => None,
        }
    }

    /// The storage it is about.
    pub(crate) fn storage(&self) -> Option<&str> {
        match self {
            Self::StorageAttached(id) | Self::StorageDetaching(id) => Some(id),
            _ => None,
        }
    }
}

fn plain(hook: &str, kind: Kind) -> Call {
    Call { hook: hook.into(), kind }
}

/// The hook a unit runs next, none when it has nothing to do. Where Juju knows no order, the
/// generator decides.
pub(crate) fn next(state: &State, random: &mut Random, name: &str) -> Option<Call> {
    let unit = state.units.get(name)?;
    state.apps.get(&unit.app)?.charm.as_ref()?;
    if let Some(failure) = &unit.error {
        return Some(failure.call.clone());
    }
    if unit.life == Life::Dying {
        return dying(state, random, name, unit);
    }
    before_install(state, random, name, unit)
        .or_else(|| created(state, random, unit))
        .or_else(|| leadership(state, name, unit))
        .or_else(|| secrets(state, unit))
        .or_else(|| alive(state, name, unit))
        .or_else(|| relations(state, random, name, unit))
        .or_else(|| unit.must_update_status.then(|| plain("update-status", Kind::UpdateStatus)))
}

fn before_install(state: &State, random: &mut Random, name: &str, unit: &Unit) -> Option<Call> {
    let waiting: Vec<_> = state
        .storages
        .iter()
        .filter(|(_, storage)| storage.unit.as_deref() == Some(name) && !storage.is_attached)
        .collect();
    if let Some((id, storage)) = random.pick(&waiting) {
        return Some(plain(
            &format!("{}-storage-attached", storage.name),
            Kind::StorageAttached((*id).clone()),
        ));
    }
    (!unit.is_installed).then(|| plain("install", Kind::Install))
}

fn created(state: &State, random: &mut Random, unit: &Unit) -> Option<Call> {
    let new: Vec<u32> =
        unit.scopes.iter().filter(|(_, scope)| !scope.is_created).map(|(id, _)| *id).collect();
    let id = *random.pick(&new)?;
    relation_call(state, unit, "created", Kind::Created(id))
}

fn relation_call(state: &State, unit: &Unit, suffix: &str, kind: Kind) -> Option<Call> {
    let relation = state.relations.get(&kind.relation()?)?;
    let endpoint = &relation.end(&unit.app)?.endpoint;
    Some(Call { hook: format!("{endpoint}-relation-{suffix}"), kind })
}

fn leadership(state: &State, name: &str, unit: &Unit) -> Option<Call> {
    if !state.juju.has_leaders() {
        return None;
    }
    let app = state.apps.get(&unit.app)?;
    if state.is_leader(name) {
        return (unit.is_leader_seen != Some(true))
            .then(|| plain("leader-elected", Kind::LeaderElected));
    }
    let is_news = unit.is_leader_seen != Some(false)
        || unit.leader_settings_seen != app.leader_settings_version;
    (state.juju.tells_minions() && is_news)
        .then(|| plain("leader-settings-changed", Kind::LeaderSettingsChanged))
}

fn secrets(state: &State, unit: &Unit) -> Option<Call> {
    let is_news =
        |id: &String, seen: u32| state.secrets.get(id).is_some_and(|secret| secret.latest() > seen);
    let known =
        |id: &String, tracked: u32| unit.announced.get(id).copied().unwrap_or(0).max(tracked);
    let (id, _) = unit.tracked.iter().find(|(id, tracked)| is_news(id, known(id, **tracked)))?;
    Some(plain("secret-changed", Kind::SecretChanged(id.clone())))
}

fn alive(state: &State, name: &str, unit: &Unit) -> Option<Call> {
    if unit.charm_revision != state.apps.get(&unit.app)?.charm_revision {
        return Some(plain("upgrade-charm", Kind::Upgrade));
    }
    if unit.config_seen.as_deref() != Some(&state.config_hash(name)) {
        return Some(plain("config-changed", Kind::ConfigChanged));
    }
    (!unit.is_started || unit.must_start).then(|| plain("start", Kind::Start))
}

fn relations(state: &State, random: &mut Random, name: &str, unit: &Unit) -> Option<Call> {
    let mut due = Vec::new();
    for (id, scope) in &unit.scopes {
        due.extend(relation(state, name, *id, scope));
    }
    let (suffix, kind) = random.pick(&due)?.clone();
    relation_call(state, unit, suffix, kind)
}

/// What is due in one relation. A joined is followed by its changed before anything else there.
fn relation(state: &State, name: &str, id: u32, scope: &Scope) -> Vec<(&'static str, Kind)> {
    let Some(relation) = state.relations.get(&id).filter(|_| !scope.is_broken) else {
        return Vec::new();
    };
    if let Some(unit) = &scope.must_change {
        return vec![("changed", Kind::Changed(id, unit.clone()))];
    }
    let mut due = Vec::new();
    let others = if relation.is_dying { Vec::new() } else { relation.remote_units(name) };
    for other in &others {
        match scope.members.get(other) {
            None => due.push(("joined", Kind::Joined(id, other.clone()))),
            Some(seen) if *seen != relation.version_of(other) => {
                due.push(("changed", Kind::Changed(id, other.clone())))
            }
            Some(_) => {}
        }
    }
    for gone in scope.members.keys().filter(|unit| !others.contains(unit)) {
        due.push(("departed", Kind::Departed(id, gone.clone())));
    }
    let app = relation.remote_app(app_of(name)).to_owned();
    if !relation.is_dying && scope.apps.get(&app).copied().unwrap_or(0) != relation.version_of(&app)
    {
        due.push(("changed", Kind::AppChanged(id, app)));
    }
    if relation.is_dying && due.is_empty() && !relation.is_peer() {
        due.push(("broken", Kind::Broken(id)));
    }
    due
}

/// Order of a removal: storage first, relations, stop, remove (juju-surface 4.2).
fn dying(state: &State, random: &mut Random, name: &str, unit: &Unit) -> Option<Call> {
    if !unit.is_installed {
        return None;
    }
    let attached: Vec<_> = state
        .storages
        .iter()
        .filter(|(_, storage)| storage.unit.as_deref() == Some(name) && storage.is_attached)
        .collect();
    if let Some((id, storage)) = random.pick(&attached) {
        return Some(plain(
            &format!("{}-storage-detaching", storage.name),
            Kind::StorageDetaching((*id).clone()),
        ));
    }
    let mut due = Vec::new();
    for (id, scope) in &unit.scopes {
        due.extend(leaving(state, *id, scope));
    }
    if let Some((suffix, kind)) = random.pick(&due).cloned() {
        return relation_call(state, unit, suffix, kind);
    }
    if unit.is_stopped {
        Some(plain("remove", Kind::Remove))
    } else {
        Some(plain("stop", Kind::Stop))
    }
}

fn leaving(state: &State, id: u32, scope: &Scope) -> Vec<(&'static str, Kind)> {
    let Some(relation) = state.relations.get(&id).filter(|_| !scope.is_broken) else {
        return Vec::new();
    };
    if let Some(unit) = &scope.must_change {
        return vec![("changed", Kind::Changed(id, unit.clone()))];
    }
    if scope.members.is_empty() {
        let is_broken_due = !relation.is_peer() && scope.is_created;
        return if is_broken_due { vec![("broken", Kind::Broken(id))] } else { Vec::new() };
    }
    scope.members.keys().map(|unit| ("departed", Kind::Departed(id, unit.clone()))).collect()
}

/// Remembers that a hook has run. `seen` is the version of the bag it was about when it began.
pub(crate) fn complete(state: &mut State, name: &str, call: &Call, seen: u64) {
    let hash = state.config_hash(name);
    let settings = state.apps.get(app_of(name)).map_or(0, |app| app.leader_settings_version);
    let latest = match &call.kind {
        Kind::SecretChanged(id) => state.secrets.get(id).map_or(0, |secret| secret.latest()),
        _ => 0,
    };
    match &call.kind {
        Kind::StorageAttached(id) => {
            if let Some(storage) = state.storages.get_mut(id) {
                storage.is_attached = true;
            }
        }
        Kind::StorageDetaching(id) => detach(state, name, id),
        _ => {}
    }
    let Some(unit) = state.units.get_mut(name) else { return };
    match &call.kind {
        Kind::Install => unit.is_installed = true,
        Kind::Start => (unit.is_started, unit.must_start) = (true, false),
        Kind::ConfigChanged => unit.config_seen = Some(hash),
        Kind::Upgrade => (unit.config_seen, unit.must_start) = (None, true),
        Kind::Stop => unit.is_stopped = true,
        Kind::UpdateStatus => unit.must_update_status = false,
        Kind::LeaderElected => unit.is_leader_seen = Some(true),
        Kind::LeaderSettingsChanged => {
            (unit.is_leader_seen, unit.leader_settings_seen) = (Some(false), settings)
        }
        Kind::SecretChanged(id) => {
            unit.announced.insert(id.clone(), latest);
        }
        _ => {}
    }
    if let Some(scope) = call.kind.relation().and_then(|id| unit.scopes.get_mut(&id)) {
        relation_done(scope, &call.kind, seen);
    }
    if call.kind == Kind::Remove {
        remove_unit(state, name);
    }
}

fn relation_done(scope: &mut Scope, kind: &Kind, seen: u64) {
    match kind {
        Kind::Created(_) => scope.is_created = true,
        Kind::Joined(_, other) => {
            scope.members.insert(other.clone(), 0);
            scope.must_change = Some(other.clone());
        }
        Kind::Changed(_, other) => {
            scope.must_change = None;
            scope.members.insert(other.clone(), seen);
        }
        Kind::AppChanged(_, app) => {
            scope.apps.insert(app.clone(), seen);
        }
        Kind::Departed(_, other) => {
            scope.members.remove(other);
        }
        Kind::Broken(_) => scope.is_broken = true,
        _ => {}
    }
}

fn detach(state: &mut State, unit: &str, id: &str) {
    let keeps =
        state.units.get(unit).is_none_or(|unit| unit.keeps_storage || unit.life == Life::Alive);
    if keeps {
        if let Some(storage) = state.storages.get_mut(id) {
            (storage.unit, storage.is_attached) = (None, false);
        }
    } else if let Some(storage) = state.storages.remove(id) {
        // The directory is the machine's; one that cannot be deleted goes with the machine.
        let _ = std::fs::remove_dir_all(storage.location);
    }
}

/// Takes a unit out of everything. Its databags stay readable.
pub(crate) fn remove_unit(state: &mut State, name: &str) {
    for relation in state.relations.values_mut() {
        relation.in_scope.remove(name);
    }
    for storage in
        state.storages.values_mut().filter(|storage| storage.unit.as_deref() == Some(name))
    {
        (storage.unit, storage.is_attached) = (None, false);
    }
    let Some(unit) = state.units.remove(name) else { return };
    let is_free = !state.units.values().any(|other| other.machine == unit.machine);
    if is_free && let Some(machine) = state.machines.get_mut(&unit.machine) {
        machine.power_off();
    }
    state.note(format!("{name}: removed"));
}

/// Moves what moves without a hook: scopes, leases, ends of relations and applications.
pub(crate) fn tidy(state: &mut State) {
    let names: Vec<String> = state.units.keys().cloned().collect();
    for name in &names {
        tidy_unit(state, name);
    }
    let apps: Vec<String> = state.apps.keys().cloned().collect();
    for app in &apps {
        elect(state, app);
    }
    end_relations(state);
    let gone: Vec<String> = apps
        .into_iter()
        .filter(|app| state.apps[app].is_dying && state.units_of(app).is_empty())
        .collect();
    for app in gone {
        state.apps.remove(&app);
        state.relations.retain(|_, relation| relation.end(&app).is_none());
    }
}

fn tidy_unit(state: &mut State, name: &str) {
    let Some(unit) = state.units.get(name) else { return };
    let (is_installed, life) = (unit.is_installed, unit.life);
    let is_charmed = state.apps.get(&unit.app).is_some_and(|app| app.charm.is_some());
    if life == Life::Dying && (!is_installed || !is_charmed) {
        remove_unit(state, name);
        return;
    }
    if life == Life::Dying {
        leave_scopes(state, name);
    } else if is_installed || !is_charmed {
        enter_scopes(state, name);
    }
    if !state.juju.tells_minions()
        && !state.is_leader(name)
        && let Some(unit) = state.units.get_mut(name)
    {
        unit.is_leader_seen = Some(false);
    }
}

fn enter_scopes(state: &mut State, name: &str) {
    let app = app_of(name);
    let new: Vec<u32> = state
        .relations
        .iter()
        .filter(|(id, relation)| {
            !relation.is_dying
                && relation.end(app).is_some()
                && !state.units[name].scopes.contains_key(id)
        })
        .map(|(id, _)| *id)
        .collect();
    for id in new {
        state.enter_scope(name, id);
        if let Some(unit) = state.units.get_mut(name) {
            unit.scopes.insert(id, Scope::default());
        }
    }
}

/// The others hear of a departure once the leaver's storage is detached and it turns to relations.
fn leave_scopes(state: &mut State, name: &str) {
    let has_storage = state
        .storages
        .values()
        .any(|storage| storage.unit.as_deref() == Some(name) && storage.is_attached);
    if !has_storage {
        for relation in state.relations.values_mut() {
            relation.in_scope.remove(name);
        }
    }
}

/// A lease whose holder is gone, or whose machine is down, ends; another unit claims it.
fn elect(state: &mut State, app: &str) {
    if !state.juju.has_leaders() || state.apps[app].charm.is_none() {
        return;
    }
    let can_lead = |unit: &String| state.machine_of(unit).is_some_and(|machine| machine.is_up);
    if state.apps[app].leader.as_ref().is_some_and(can_lead) {
        return;
    }
    let able: Vec<String> = state.units_of(app).into_iter().filter(can_lead).collect();
    let alive: Vec<String> =
        able.iter().filter(|unit| state.units[*unit].life == Life::Alive).cloned().collect();
    let next = state.random.pick(if alive.is_empty() { &able } else { &alive }).cloned();
    if let Some(app) = state.apps.get_mut(app) {
        app.leader = next;
    }
}

fn end_relations(state: &mut State) {
    let over: Vec<u32> = state
        .relations
        .iter()
        .filter(|(id, relation)| {
            relation.is_dying
                && !state.units.iter().any(|(name, unit)| is_held(state, name, unit, **id))
        })
        .map(|(id, _)| *id)
        .collect();
    for id in over {
        state.relations.remove(&id);
        for unit in state.units.values_mut() {
            unit.scopes.remove(&id);
        }
    }
}

fn is_held(state: &State, name: &str, unit: &Unit, relation: u32) -> bool {
    let is_charmed = state.apps.get(app_of(name)).is_some_and(|app| app.charm.is_some());
    is_charmed && unit.scopes.get(&relation).is_some_and(|scope| !scope.is_broken)
}
