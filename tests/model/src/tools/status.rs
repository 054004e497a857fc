//! Tools about status and plans.

use serde_json::{Map, Value, json};

use super::{Job, Outcome, failed, usage};
use crate::state::{Life, Status, app_of};

/// When things began; the model has no clock of its own.
const SINCE: &str = "2026-01-01 00:00:00Z";

pub(super) fn goal_state(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output"])?;
    args.at_most(0)?;
    let app = app_of(&job.context.unit);
    let mut relations = Map::new();
    for relation in job.state.relations.values().filter(|relation| !relation.is_peer()) {
        let (Some(own), remote) = (relation.end(app), relation.remote_app(app)) else { continue };
        let entry = relations.entry(own.endpoint.clone()).or_insert_with(|| json!({}));
        entry[remote] =
            json!({"status": if relation.is_dying { "dying" } else { "joined" }, "since": SINCE});
        for (unit, state) in goals(job, remote) {
            entry[unit] = state;
        }
    }
    args.print(&json!({"units": goals(job, app), "relations": relations}), "yaml")
}

fn goals(job: &Job<'_>, app: &str) -> Map<String, Value> {
    let goal = |name: &str| {
        let unit = &job.state.units[name];
        let status = if unit.life == Life::Dying { "dying" } else { unit.status.status.as_str() };
        json!({"status": status, "since": SINCE})
    };
    job.state.units_of(app).into_iter().map(|name| (name.clone(), goal(&name))).collect()
}

pub(super) fn get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["include-data", "application"], &["format", "output"])?;
    args.at_most(0)?;
    if args.is_set("application") {
        return app_status(job, &args);
    }
    let status = job
        .state
        .units
        .get(&job.context.unit)
        .map(|unit| unit.status.clone())
        .unwrap_or_else(|| Status::new("unknown", ""));
    if args.is_set("include-data") {
        return args.print(
            &json!({"message": status.message, "status": status.status, "status-data": {}}),
            "smart",
        );
    }
    args.print(&status.status.into(), "smart")
}

fn app_status(job: &Job<'_>, args: &super::args::Args) -> Outcome {
    if !job.state.is_leader(&job.context.unit) {
        return failed("cannot get application status: not the leader");
    }
    let app = app_of(&job.context.unit);
    let shown = |status: &Status| json!({"message": status.message, "status": status.status, "status-data": {}});
    let own = job
        .state
        .apps
        .get(app)
        .and_then(|app| app.status.clone())
        .unwrap_or_else(|| Status::new("unknown", ""));
    let mut all = shown(&own);
    for unit in job.state.units_of(app) {
        all["units"][&unit] = shown(&job.state.units[&unit].status);
    }
    args.print(&json!({"application-status": all}), "smart")
}

pub(super) fn set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["application"], &[])?;
    let (status, message) = match args.rest.as_slice() {
        [status] => (status, ""),
        [status, message] => (status, message.as_str()),
        [] => return usage("invalid args, require <status> [message]"),
        _ => return args.at_most(2).map(|()| String::new()),
    };
    if !["maintenance", "blocked", "waiting", "active"].contains(&status.as_str()) {
        return usage(format!(
            "invalid status \"{status}\", expected one of [maintenance blocked waiting active]"
        ));
    }
    let new = Status::new(status, message);
    if args.is_set("application") {
        if !job.state.is_leader(&job.context.unit) {
            return failed("cannot set application status: not the leader");
        }
        if let Some(app) = job.state.apps.get_mut(app_of(&job.context.unit)) {
            app.status = Some(new);
        }
    } else if let Some(unit) = job.state.units.get_mut(&job.context.unit) {
        unit.status = new;
    }
    Ok(String::new())
}

pub(super) fn version(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    args.at_most(1)?;
    let Some(version) = args.rest.first() else { return usage("no version specified") };
    if let Some(app) = job.state.apps.get_mut(app_of(&job.context.unit)) {
        app.workload_version = version.clone();
    }
    Ok(String::new())
}
