//! Secrets: revisions, grants, tracked revisions (juju-surface 3.2, 3.3).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::args::Args;
use super::{Job, Outcome, Stop, failed, usage};
use crate::context::SecretChange;
use crate::state::{Bag, Secret, State, app_of};

const ADD_FLAGS: &[&str] = &["label", "description", "rotate", "expire", "owner", "file"];
const ROTATIONS: &[&str] =
    &["never", "hourly", "daily", "weekly", "monthly", "quarterly", "yearly"];

pub(super) fn run(job: &mut Job<'_>) -> Outcome {
    match job.request.tool.as_str() {
        "secret-add" => add(job),
        "secret-set" => set(job),
        "secret-get" => get(job),
        "secret-info-get" => info(job),
        "secret-ids" => ids(job),
        "secret-grant" => grant(job),
        "secret-revoke" => revoke(job),
        "secret-remove" => remove(job),
        _ => failed("bad request: unknown command"),
    }
}

/// Commits a change.
pub(crate) fn apply(state: &mut State, change: SecretChange) {
    match change {
        SecretChange::Add(id, secret) => {
            state.secrets.insert(id, secret);
        }
        SecretChange::Set(id, label, description, values) => {
            let Some(secret) = state.secrets.get_mut(&id) else { return };
            secret.label = label.unwrap_or_else(|| secret.label.clone());
            secret.description = description.unwrap_or_else(|| secret.description.clone());
            if !values.is_empty() && secret.revisions.values().next_back() != Some(&values) {
                secret.revisions.insert(secret.latest() + 1, values);
            }
        }
        SecretChange::Grant(id, relation, unit) => {
            if let Some(secret) = state.secrets.get_mut(&id) {
                secret.grants.insert((relation, unit));
            }
        }
        SecretChange::Revoke(id, relation, unit) => {
            if let Some(secret) = state.secrets.get_mut(&id) {
                secret.grants.retain(|(to, only)| {
                    relation.is_some_and(|relation| relation != *to)
                        || unit.is_some() && unit != *only
                });
            }
        }
        SecretChange::Remove(id, revision) => {
            let Some(secret) = state.secrets.get_mut(&id) else { return };
            match revision {
                Some(revision) => secret.revisions.remove(&revision),
                None => return drop(state.secrets.remove(&id)),
            };
            if secret.revisions.is_empty() {
                state.secrets.remove(&id);
            }
        }
    }
}

/// Who owns what a change is about.
pub(crate) fn owner(state: &State, change: &SecretChange) -> String {
    let id = match change {
        SecretChange::Add(_, secret) => return secret.owner.clone(),
        SecretChange::Set(id, ..)
        | SecretChange::Grant(id, ..)
        | SecretChange::Revoke(id, ..)
        | SecretChange::Remove(id, _) => id,
    };
    state.secrets.get(id).map(|secret| secret.owner.clone()).unwrap_or_default()
}

fn add(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], ADD_FLAGS)?;
    let values = values(job, &args)?;
    if values.is_empty() {
        return usage("missing secret value or filename");
    }
    let rotate = args.flag("rotate").unwrap_or("never");
    if !ROTATIONS.contains(&rotate) {
        return usage(format!("rotate policy \"{rotate}\" not valid"));
    }
    let owner = match args.flag("owner").unwrap_or("application") {
        "application" if !job.state.is_leader(&job.context.unit) => {
            return failed("this unit is not the leader");
        }
        "application" => app_of(&job.context.unit).to_owned(),
        "unit" => job.context.unit.clone(),
        other => return usage(format!("secret owner \"{other}\" not valid")),
    };
    job.state.counters.secret += 1;
    let id = format!("{:020}", job.state.counters.secret).replace('0', "c");
    let secret = Secret {
        owner,
        label: args.flag("label").unwrap_or_default().into(),
        description: args.flag("description").unwrap_or_default().into(),
        rotate: rotate.into(),
        revisions: BTreeMap::from([(1, values)]),
        grants: BTreeSet::new(),
    };
    job.context.pending.secrets.push(SecretChange::Add(id.clone(), secret));
    Ok(format!("secret:{id}\n"))
}

/// `k=v`, `k#base64=v`, `k#file=path` and `--file`.
fn values(job: &Job<'_>, args: &Args) -> Result<Bag, Stop> {
    let given: Vec<&String> = args.rest.iter().filter(|arg| arg.contains('=')).collect();
    let mut values =
        args.flag("file").map(|file| job.map_file(file)).transpose()?.unwrap_or_default();
    for arg in given {
        let (key, value) = arg.split_once('=').unwrap_or((arg, ""));
        match key.split_once('#') {
            Some((key, "file")) => values.insert(key.into(), job.file(value)?),
            Some((key, "base64")) => values.insert(key.into(), decode(value)?),
            Some(_) => return usage(format!("secret key \"{key}\" not valid")),
            None => values.insert(key.into(), value.into()),
        };
    }
    match values.keys().find(|key| !is_key(key)) {
        Some(key) => usage(format!("key \"{key}\" not valid")),
        None => Ok(values),
    }
}

/// Lower-case letters, digits and single inner hyphens, three characters at least.
fn is_key(key: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    key.len() >= 3
        && key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.chars().all(is_plain)
        && !key.ends_with('-')
        && !key.contains("--")
}

fn decode(text: &str) -> Result<String, Stop> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for c in text.bytes().filter(|c| *c != b'=') {
        let Some(digit) = ALPHABET.iter().position(|known| *known == c) else {
            return usage("illegal base64 data");
        };
        (bits, count) = (bits << 6 | u32::try_from(digit).expect("an index of 64"), count + 6);
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count & 0xff).expect("masked to a byte"));
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The id out of `secret:<id>`, `secret://<model>/<id>` or `<id>`.
fn bare(uri: &str) -> String {
    let rest = uri.strip_prefix("secret:").unwrap_or(uri);
    rest.rsplit('/').next().unwrap_or(rest).to_owned()
}

/// A secret of this hook: committed, or added in it.
fn find<'a>(job: &'a Job<'_>, id: &str) -> Option<&'a Secret> {
    let added = job.context.pending.secrets.iter().find_map(|change| match change {
        SecretChange::Add(own, secret) if own == id => Some(secret),
        _ => None,
    });
    job.state.secrets.get(id).or(added)
}

fn is_owner(job: &Job<'_>, secret: &Secret) -> bool {
    secret.owner == job.context.unit || secret.owner == app_of(&job.context.unit)
}

fn owned(job: &Job<'_>, args: &Args) -> Result<String, Stop> {
    let by_label = |label: &str| {
        job.state
            .secrets
            .iter()
            .find(|(_, secret)| secret.label == label && is_owner(job, secret))
            .map(|(id, _)| id.clone())
    };
    let id = match (args.rest.first().filter(|arg| !arg.contains('=')), args.flag("label")) {
        (Some(uri), _) => bare(uri),
        (None, Some(label)) => {
            by_label(label).ok_or_else(|| Stop::Failed(format!("secret \"{label}\" not found")))?
        }
        (None, None) => return usage("missing secret URI"),
    };
    match find(job, &id) {
        Some(secret) if is_owner(job, secret) => Ok(id),
        _ => failed(format!("secret \"{id}\" not found")),
    }
}

fn set(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], ADD_FLAGS)?;
    let id = owned(job, &args)?;
    let values = values(job, &args)?;
    let text = |name: &str| args.flag(name).map(str::to_owned);
    job.context.pending.secrets.push(SecretChange::Set(
        id,
        text("label"),
        text("description"),
        values,
    ));
    Ok(String::new())
}

fn get(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&["peek", "refresh"], &["format", "output", "label"])?;
    if args.is_set("peek") && args.is_set("refresh") {
        return usage("specify one of --peek or --refresh but not both");
    }
    let mut rest = args.rest.clone();
    let unit = job.context.unit.clone();
    let label = args.flag("label");
    let known = label.and_then(|label| job.state.units.get(&unit)?.labels.get(label).cloned());
    let own = label.and_then(|label| {
        job.state
            .secrets
            .iter()
            .find(|(_, secret)| secret.label == label && is_owner(job, secret))
            .map(|(id, _)| id.clone())
    });
    let by_uri = rest
        .first()
        .is_some_and(|arg| arg.starts_with("secret:") || find(job, &bare(arg)).is_some());
    let id = match (by_uri, known.or(own)) {
        (true, _) => bare(&rest.remove(0)),
        (false, Some(id)) => id,
        (false, None) if label.is_none() => return usage("require either a secret URI or label"),
        (false, None) => {
            return failed(format!("secret \"{}\" not found", label.unwrap_or_default()));
        }
    };
    let Some(secret) = find(job, &id).filter(|secret| can_read(job, secret)) else {
        return failed(format!("secret \"{id}\" not found"));
    };
    let latest = secret.latest();
    let tracked = job.state.units.get(&unit).and_then(|unit| unit.tracked.get(&id).copied());
    let revision = if args.is_set("peek") || args.is_set("refresh") || is_owner(job, secret) {
        latest
    } else {
        tracked.unwrap_or(latest)
    };
    let values = secret.revisions.get(&revision).cloned().unwrap_or_default();
    let is_consumer = !is_owner(job, secret);
    if let (true, false, Some(unit)) =
        (is_consumer, args.is_set("peek"), job.state.units.get_mut(&unit))
    {
        unit.tracked.insert(id.clone(), revision);
        if let Some(label) = label {
            unit.labels.insert(label.into(), id);
        }
    }
    match rest.first() {
        Some(key) => match values.get(key.split('#').next().unwrap_or(key)) {
            Some(value) => Ok(format!("{value}\n")),
            None => failed(format!("secret value for \"{key}\" not found")),
        },
        None => args.print(&json!(values), "yaml"),
    }
}

fn can_read(job: &Job<'_>, secret: &Secret) -> bool {
    let granted = |(relation, unit): &(u32, Option<String>)| {
        let is_related = job
            .state
            .relations
            .get(relation)
            .is_some_and(|relation| relation.end(app_of(&job.context.unit)).is_some());
        is_related && unit.as_ref().is_none_or(|unit| *unit == job.context.unit)
    };
    is_owner(job, secret) || secret.grants.iter().any(granted)
}

fn info(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output", "label"])?;
    let id = owned(job, &args)?;
    let Some(secret) = find(job, &id) else { return failed(format!("secret \"{id}\" not found")) };
    let owner = if secret.owner.contains('/') { "unit" } else { "application" };
    let shown = json!({"revision": secret.latest(), "label": secret.label, "owner": owner, "description": secret.description, "rotation": secret.rotate});
    args.print(&json!({id.as_str(): shown}), "yaml")
}

fn ids(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["format", "output"])?;
    args.at_most(0)?;
    let ids: Vec<&String> = job
        .state
        .secrets
        .iter()
        .filter(|(_, secret)| is_owner(job, secret))
        .map(|(id, _)| id)
        .collect();
    args.print(&json!(ids), "smart")
}

fn relation_number(args: &Args) -> Result<Option<u32>, Stop> {
    let Some(text) = args.flag("relation") else { return Ok(None) };
    let number = text.rsplit(':').next().unwrap_or(text);
    number.parse().map(Some).map_err(|_| Stop::Usage(format!("invalid relation id \"{text}\"")))
}

fn grant(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["relation", "unit"])?;
    let id = owned(job, &args)?;
    let Some(relation) = relation_number(&args)? else { return usage("missing relation id") };
    job.context.pending.secrets.push(SecretChange::Grant(
        id,
        relation,
        args.flag("unit").map(str::to_owned),
    ));
    Ok(String::new())
}

fn revoke(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["relation", "app", "unit"])?;
    let id = owned(job, &args)?;
    let relation = relation_number(&args)?;
    job.context.pending.secrets.push(SecretChange::Revoke(
        id,
        relation,
        args.flag("unit").map(str::to_owned),
    ));
    Ok(String::new())
}

fn remove(job: &mut Job<'_>) -> Outcome {
    let args = job.args(&[], &["revision"])?;
    let id = owned(job, &args)?;
    let revision = args
        .flag("revision")
        .map(str::parse)
        .transpose()
        .map_err(|_| Stop::Usage("invalid revision".into()))?;
    job.context.pending.secrets.push(SecretChange::Remove(id, revision));
    Ok(String::new())
}
