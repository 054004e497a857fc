//! Tools about the unit itself: config, resources, storage, state, log, leadership.

use serde_json::{Map, Value, json};

use super::{Job, Outcome, failed, pairs, usage};
use crate::state::{app_of, overlay};

const FORMAT: &[&str] = &["format", "output"];
const LEVELS: &[&str] = &["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

pub(super) fn config_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["all"], FORMAT)?;
    args.at_most(1)?;
    let config = job.state.config_of(app_of(&job.context.unit));
    match args.rest.first() {
        Some(_) if args.is_set("all") => usage("cannot use argument --all together with key"),
        Some(key) => args.print(&config.get(key).cloned().flatten().unwrap_or_default(), "smart"),
        None => {
            let all = args.is_set("all");
            let shown: Map<String, Value> = config
                .into_iter()
                .filter(|(_, value)| all || value.is_some())
                .map(|(key, value)| (key, value.unwrap_or_default()))
                .collect();
            args.print(&shown.into(), "smart")
        }
    }
}

pub(super) fn resource_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    let Some(name) = args.rest.first() else { return usage("missing required resource name") };
    let app = job.state.apps.get(app_of(&job.context.unit));
    let path = app.and_then(|app| app.resources.get(name));
    let file = app.and_then(|app| app.charm.as_ref()).and_then(|charm| charm.resources.get(name));
    match (path, file, job.state.machine_of(&job.context.unit)) {
        (Some(path), Some(file), Some(machine)) => {
            let dir = machine.root.join("var/lib/juju/resources").join(name);
            let copy = dir.join(file);
            let copied = std::fs::create_dir_all(&dir).and_then(|()| std::fs::copy(path, &copy));
            match copied {
                Ok(_) => Ok(copy.display().to_string()),
                Err(error) => failed(format!("could not download resource: {error}")),
            }
        }
        _ => failed(format!(
            "could not download resource: resource \"{}/{name}\" not found",
            app_of(&job.context.unit)
        )),
    }
}

pub(super) fn storage_list(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], FORMAT)?;
    args.at_most(1)?;
    let ids: Vec<&String> = job
        .state
        .storages
        .iter()
        .filter(|(_, storage)| storage.unit.as_deref() == Some(&job.context.unit))
        .filter(|(_, storage)| args.rest.first().is_none_or(|name| *name == storage.name))
        .map(|(id, _)| id)
        .collect();
    args.print(&json!(ids), "smart")
}

pub(super) fn storage_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output", "storage"])?;
    args.at_most(1)?;
    let Some(id) = args.flag("storage").or(job.context.call.kind.storage()) else {
        return usage("no storage instance specified");
    };
    let storage = job
        .state
        .storages
        .get(id)
        .filter(|storage| storage.unit.as_deref() == Some(&job.context.unit));
    let Some(storage) = storage else { return failed(format!("storage \"{id}\" not found")) };
    let all = json!({"kind": "filesystem", "location": storage.location});
    match args.rest.first() {
        None => args.print(&all, "smart"),
        Some(key) if all.get(key).is_some() => args.print(&all[key], "smart"),
        Some(key) => failed(format!("invalid storage attribute \"{key}\"")),
    }
}

pub(super) fn storage_add(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    if args.rest.is_empty() {
        return usage("storage add requires a storage directive");
    }
    for directive in &args.rest {
        let (name, count) = directive.split_once('=').unwrap_or((directive, "1"));
        let Ok(count) = count.parse() else {
            return usage(format!("cannot parse count in \"{directive}\""));
        };
        job.context.pending.storage.push((name.into(), count));
    }
    Ok(String::new())
}

pub(super) fn state_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["strict"], FORMAT)?;
    args.at_most(1)?;
    let mut state =
        job.state.units.get(&job.context.unit).map(|unit| unit.state.clone()).unwrap_or_default();
    overlay(&mut state, &job.context.pending.state);
    match args.rest.first().filter(|key| *key != "-") {
        // Known oddity of 4.x: nothing at all is null (juju-surface 3.2).
        None if state.is_empty() && job.state.juju.major >= 4 => args.print(&Value::Null, "smart"),
        None => args.print(&json!(state), "smart"),
        Some(key) => match state.get(key) {
            None if args.is_set("strict") => failed(format!("\"{key}\" not found")),
            value => args.print(&json!(value), "smart"),
        },
    }
}

pub(super) fn state_set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["file"])?;
    let mut writes =
        args.flag("file").map(|file| job.map_file(file)).transpose()?.unwrap_or_default();
    writes.extend(pairs(&args.rest)?);
    job.context.pending.state.extend(writes);
    Ok(String::new())
}

pub(super) fn state_delete(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    let Some(key) = args.rest.first() else { return usage("no key specified") };
    job.context.pending.state.insert(key.clone(), String::new());
    Ok(String::new())
}

pub(super) fn juju_log(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["debug"], &["log-level"])?;
    if args.rest.is_empty() {
        return usage("no message specified");
    }
    let asked =
        if args.is_set("debug") { "DEBUG" } else { args.flag("log-level").unwrap_or("INFO") }
            .to_uppercase();
    let level = if LEVELS.contains(&asked.as_str()) { asked } else { "INFO".into() };
    let prefix = match job.context.call.kind.relation() {
        Some(id) => format!("{}: ", super::relation::id_text(job, id)),
        None => String::new(),
    };
    let line = format!(
        "{} {}: {level}: {prefix}{}",
        job.context.unit,
        job.context.call.hook,
        args.rest.join(" ")
    );
    job.state.note(line);
    Ok(String::new())
}

pub(super) fn juju_reboot(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["now"], &[])?;
    args.at_most(0)?;
    if job.context.action.is_some() {
        return failed("juju-reboot is not supported when running an action.");
    }
    job.context.must_reboot = true;
    if args.is_set("now") {
        job.context.killed = Some("juju-reboot --now".into());
        if let Some(pid) = job.context.pid {
            crate::server::kill(pid);
        }
    }
    Ok(String::new())
}

pub(super) fn is_leader(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], FORMAT)?;
    args.at_most(0)?;
    args.print(&job.state.is_leader(&job.context.unit).into(), "smart")
}

pub(super) fn leader_get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], FORMAT)?;
    args.at_most(1)?;
    let settings = job.state.apps.get(app_of(&job.context.unit)).map(|app| &app.leader_settings);
    match args.rest.first().filter(|key| *key != "-") {
        None => args.print(&json!(settings), "smart"),
        Some(key) => args.print(&json!(settings.and_then(|settings| settings.get(key))), "smart"),
    }
}

pub(super) fn leader_set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &[])?;
    let writes = pairs(&args.rest)?;
    if !job.state.is_leader(&job.context.unit) {
        return failed("cannot write leadership settings: not the leader");
    }
    if let Some(app) = job.state.apps.get_mut(app_of(&job.context.unit)) {
        overlay(&mut app.leader_settings, &writes);
        app.leader_settings_version += 1;
    }
    Ok(String::new())
}
