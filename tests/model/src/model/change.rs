//! What a person changes in what is there: relations, options, charms, resources, leadership.

use std::path::Path;

use super::Model;
use super::grow::add_relation;
use crate::charm::{Charm, Role};
use crate::error::{Error, Result};
use crate::server::lock;
use crate::state::{Bag, End, Failure, State};
use crate::{server, uniter};

impl Model {
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
