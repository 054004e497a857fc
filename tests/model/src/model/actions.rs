//! Actions.

use serde_json::{Map, Value};

use super::{Model, Outcome};
use crate::context::ActionRun;
use crate::error::{Error, Result};
use crate::server::lock;
use crate::state::app_of;
use crate::uniter::{Call, Kind};

impl Model {
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
}
