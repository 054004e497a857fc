//! Tools about relations and their databags.

use serde_json::json;

use super::{Job, Outcome, Stop, failed, pairs, usage};
use crate::state::{Bag, app_of, overlay};

/// `endpoint:N` as a unit of an application calls a relation.
pub(super) fn id_text(job: &Job<'_>, id: u32) -> String {
    let endpoint =
        job.state.relations.get(&id).and_then(|relation| relation.end(app_of(&job.context.unit)));
    endpoint.map_or_else(|| id.to_string(), |end| format!("{}:{id}", end.endpoint))
}

/// The relation by `-r`, else the hook's own.
fn relation_of(job: &Job<'_>, flag: Option<&str>) -> Result<u32, Stop> {
    let Some(text) = flag else {
        return job
            .context
            .call
            .kind
            .relation()
            .map_or_else(|| usage("no relation id specified"), Ok);
    };
    let number = text.rsplit_once(':').map_or(text, |(_, number)| number);
    let Ok(id) = number.parse::<u32>() else {
        return usage(format!("invalid value \"{text}\" for option -r: invalid relation id"));
    };
    let is_own = job
        .state
        .relations
        .get(&id)
        .is_some_and(|relation| relation.end(app_of(&job.context.unit)).is_some());
    let is_entered =
        job.state.units.get(&job.context.unit).is_some_and(|unit| unit.scopes.contains_key(&id));
    if is_own && is_entered {
        Ok(id)
    } else {
        usage(format!("invalid value \"{text}\" for option -r: relation not found"))
    }
}

pub(super) fn ids(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output"])?;
    args.at_most(1)?;
    let app = app_of(&job.context.unit);
    let own = job.context.call.kind.relation();
    let from_hook = own
        .and_then(|id| job.state.relations.get(&id))
        .and_then(|relation| relation.end(app))
        .map(|end| end.endpoint.clone());
    let Some(endpoint) = args.rest.first().cloned().or(from_hook) else {
        return usage("no endpoint name specified");
    };
    let scopes = job.state.units.get(&job.context.unit).map(|unit| &unit.scopes);
    let mut ids: Vec<String> = job
        .state
        .relations
        .iter()
        .filter(|(id, relation)| {
            relation.end(app).is_some_and(|end| end.endpoint == endpoint)
                && (!relation.is_dying || own == Some(**id))
        })
        .filter(|(id, _)| {
            scopes.and_then(|scopes| scopes.get(id)).is_some_and(|scope| !scope.is_broken)
        })
        .map(|(id, _)| format!("{endpoint}:{id}"))
        .collect();
    ids.sort();
    args.print(&json!(ids), "smart")
}

/// The remote units this unit's hooks have joined, without those that departed.
pub(super) fn list(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["app"], &["format", "output", "relation"])?;
    args.at_most(0)?;
    let id = relation_of(job, args.flag("relation"))?;
    let Some(relation) = job.state.relations.get(&id) else { return failed("relation not found") };
    if args.is_set("app") {
        return args.print(&relation.remote_app(app_of(&job.context.unit)).into(), "smart");
    }
    let scope = job.state.units.get(&job.context.unit).and_then(|unit| unit.scopes.get(&id));
    let mut members: Vec<String> =
        scope.map(|scope| scope.members.keys().cloned().collect()).unwrap_or_default();
    match &job.context.call.kind {
        crate::uniter::Kind::Joined(of, unit) if *of == id && !members.contains(unit) => {
            members.push(unit.clone())
        }
        crate::uniter::Kind::Departed(of, unit) if *of == id => {
            members.retain(|member| member != unit)
        }
        _ => {}
    }
    members.sort();
    args.print(&json!(members), "smart")
}

pub(super) fn get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["app"], &["format", "output", "relation"])?;
    args.at_most(2)?;
    let id = relation_of(job, args.flag("relation"))?;
    let Some(relation) = job.state.relations.get(&id) else { return failed("relation not found") };
    let entity = match args.rest.get(1) {
        Some(name) if args.is_set("app") => app_of(name).to_owned(),
        Some(name) if !name.contains('/') && job.state.apps.contains_key(name) => {
            return usage(format!("expected unit name, got application name \"{name}\""));
        }
        Some(name) if !name.contains('/') => return usage(format!("invalid unit name \"{name}\"")),
        Some(name) => name.clone(),
        None if args.is_set("app") => relation.remote_app(app_of(&job.context.unit)).to_owned(),
        None => match job.context.call.kind.remote_unit() {
            Some(unit) if job.context.call.kind.relation() == Some(id) => unit.to_owned(),
            _ => return usage("no unit or application specified"),
        },
    };
    let values = bag(job, id, &entity)?;
    match args.rest.first().filter(|key| *key != "-") {
        None => args.print(&json!(values), "smart"),
        Some(key) => args.print(&json!(values.get(key)), "smart"),
    }
}

/// A databag as this hook sees it: as first read, own uncommitted writes on top.
fn bag(job: &mut Job<'_>, id: u32, entity: &str) -> Result<Bag, Stop> {
    let own_app = app_of(&job.context.unit).to_owned();
    let relation = &job.state.relations[&id];
    let is_own = entity == job.context.unit || entity == own_app;
    if entity == own_app && !relation.is_peer() && !job.state.is_leader(&job.context.unit) {
        return failed("permission denied");
    }
    if !is_own && relation.end(app_of(entity)).is_none()
        || entity.contains('/') && !relation.bags.contains_key(entity)
    {
        return failed(format!(
            "cannot read settings for unit \"{entity}\" in relation \"{}\": settings not found",
            id_text(job, id)
        ));
    }
    let live = relation.bags.get(entity).map(|bag| bag.values.clone()).unwrap_or_default();
    let mut values = job.context.cache.entry((id, entity.to_owned())).or_insert(live).clone();
    if let Some(writes) = job.context.pending.relations.get(&(id, entity.to_owned())) {
        overlay(&mut values, writes);
    }
    Ok(values)
}

pub(super) fn set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["app"], &["format", "relation", "file"])?;
    let id = relation_of(job, args.flag("relation"))?;
    let mut writes =
        args.flag("file").map(|file| job.map_file(file)).transpose()?.unwrap_or_default();
    writes.extend(pairs(&args.rest)?);
    let entity = if args.is_set("app") {
        app_of(&job.context.unit).to_owned()
    } else {
        job.context.unit.clone()
    };
    if args.is_set("app") && !job.state.is_leader(&job.context.unit) {
        return failed("cannot write relation settings");
    }
    if !writes.is_empty() {
        job.context.pending.relations.entry((id, entity)).or_default().extend(writes);
    }
    Ok(String::new())
}

pub(super) fn model(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output", "relation"])?;
    relation_of(job, args.flag("relation"))?;
    args.print(&json!({"uuid": job.state.model_uuid}), "smart")
}
