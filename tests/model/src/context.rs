//! A running hook: what it has read, what it has written and not yet committed.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::state::{Bag, Secret, State, app_of, overlay};
use crate::uniter::Call;

/// A hook that runs.
#[derive(Debug)]
pub(crate) struct Context {
    pub unit: String,
    pub call: Call,
    /// Relation data as first read in this hook.
    pub cache: BTreeMap<(u32, String), Bag>,
    pub pending: Pending,
    pub action: Option<ActionRun>,
    pub tool_calls: u32,
    pub pid: Option<u32>,
    /// Why the model killed it.
    pub killed: Option<String>,
    pub must_reboot: bool,
}

/// Writes that wait for the hook's success.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    /// Relation and unit or application to writes; an empty value deletes.
    pub relations: BTreeMap<(u32, String), Bag>,
    pub opened: Vec<String>,
    pub closed: Vec<String>,
    pub state: Bag,
    pub storage: Vec<(String, u32)>,
    pub secrets: Vec<SecretChange>,
}

/// A change of a secret.
#[derive(Debug)]
pub(crate) enum SecretChange {
    Add(String, Secret),
    Set(String, Option<String>, Option<String>, Bag),
    Grant(String, u32, Option<String>),
    Revoke(String, Option<u32>, Option<String>),
    Remove(String, Option<u32>),
}

/// A running action.
#[derive(Debug, Default)]
pub(crate) struct ActionRun {
    pub id: u32,
    pub params: Map<String, Value>,
    pub results: Bag,
    pub failure: Option<String>,
    pub log: Vec<String>,
}

impl Context {
    pub(crate) fn new(unit: &str, call: Call, action: Option<ActionRun>) -> Self {
        Self {
            unit: unit.into(),
            call,
            cache: BTreeMap::new(),
            pending: Pending::default(),
            action,
            tool_calls: 0,
            pid: None,
            killed: None,
            must_reboot: false,
        }
    }
}

/// Commits what a hook has written: all of it, or none with the reason (juju-surface 3.4).
pub(crate) fn flush(state: &mut State, context: Context) -> Result<(), String> {
    check(state, &context)?;
    let unit = context.unit;
    for ((relation, entity), writes) in &context.pending.relations {
        write_bag(state, &unit, *relation, entity, writes);
    }
    for (name, count) in &context.pending.storage {
        for _ in 0..*count {
            crate::storage::provision(state, &unit, name);
        }
    }
    for change in context.pending.secrets {
        crate::tools::secret::apply(state, change);
    }
    if let Some(unit) = state.units.get_mut(&unit) {
        unit.ports.extend(context.pending.opened);
        unit.ports.retain(|port| !context.pending.closed.contains(port));
        overlay(&mut unit.state, &context.pending.state);
    }
    Ok(())
}

fn check(state: &State, context: &Context) -> Result<(), String> {
    let app = app_of(&context.unit);
    let writes_app = context.pending.relations.keys().any(|(_, entity)| entity == app);
    let writes_app_secret = context
        .pending
        .secrets
        .iter()
        .any(|change| crate::tools::secret::owner(state, change) == app);
    if (writes_app || writes_app_secret) && !state.is_leader(&context.unit) {
        return Err(format!(
            "committing requested changes failed: \"{}\" is not leader of \"{app}\"",
            context.unit
        ));
    }
    let storage =
        state.apps.get(app).and_then(|app| app.charm.as_ref()).map(|charm| &charm.storage);
    for (name, _) in &context.pending.storage {
        if !storage.is_some_and(|storage| storage.contains_key(name)) {
            return Err(format!("charm has no storage \"{name}\""));
        }
    }
    Ok(())
}

/// Own writes do not come back as a changed hook: the writer has seen what it wrote.
fn write_bag(state: &mut State, unit: &str, relation: u32, entity: &str, writes: &Bag) {
    let Some(found) = state.relations.get_mut(&relation) else { return };
    let bag = found.bags.entry(entity.into()).or_default();
    let had_seen_all = bag.version;
    if !bag.apply(writes) {
        return;
    }
    let version = bag.version;
    let is_own_app = found.is_peer() && entity == app_of(unit);
    if let (true, Some(unit)) = (is_own_app, state.units.get_mut(unit))
        && let Some(scope) = unit.scopes.get_mut(&relation)
        && scope.apps.get(entity).copied().unwrap_or(0) == had_seen_all
    {
        scope.apps.insert(entity.into(), version);
    }
}
