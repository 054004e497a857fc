//! Units and applications that go.

use super::Model;
use crate::error::Result;
use crate::server::lock;
use crate::state::Life;
use crate::{server, uniter};

impl Model {
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
}
