//! What Juju is working towards.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Tools;
use crate::error::Result;
use crate::names::UnitName;

/// The units and relations Juju plans, among them units no hook has told of yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GoalState {
    /// Units of this application, this one included.
    pub units: BTreeMap<UnitName, Goal>,
    /// By endpoint of this charm, then by name of the remote application or unit.
    pub relations: BTreeMap<String, BTreeMap<String, Goal>>,
}

/// What is planned for one unit or application.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Goal {
    /// Juju's word for it: `allocating`, `waiting`, `active`, `joined`, `dying` and others.
    #[serde(default)]
    pub status: String,
    /// Since when, as Juju writes it.
    #[serde(default)]
    pub since: Option<String>,
}

impl Goal {
    /// True when it is on its way out.
    pub fn is_dying(&self) -> bool {
        matches!(self.status.as_str(), "dying" | "dead")
    }
}

impl Tools {
    /// What Juju is working towards: `goal-state --format=json`.
    pub fn goal_state(&self) -> Result<GoalState> {
        let state: Option<GoalState> = self.call("goal-state").arg("--format=json").json()?;
        Ok(state.unwrap_or_default())
    }
}
