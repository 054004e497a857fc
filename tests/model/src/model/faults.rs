//! What goes wrong: in the middle of a hook, with a machine, with an address.

use std::net::Ipv4Addr;

use super::Model;
use crate::error::{Error, Result};
use crate::init::control;
use crate::journal::Fault;
use crate::run::reboot;
use crate::server;
use crate::server::lock;

impl Model {
    /// Lets something go wrong in the middle of a hook, once.
    pub fn inject(&self, fault: Fault) {
        lock(&self.state).faults.push(fault);
    }

    /// Power loss: everything the unit's machine runs gets SIGKILL, and no hook runs there until
    /// [`Model::start_machine`]. Juju's lease moves on.
    pub fn kill_machine(&self, unit: &str) -> Result<()> {
        let mut state = lock(&self.state);
        let machine = state.unit(unit)?.machine;
        server::kill_hooks(&mut state, machine);
        state.machines.get_mut(&machine).ok_or_else(|| Error::new("no machine"))?.power_off();
        Ok(())
    }

    /// Power is back: enabled services start, the unit gets a `start` hook.
    pub fn start_machine(&self, unit: &str) -> Result<()> {
        reboot(&mut lock(&self.state), unit)
    }

    /// The machine gets another address; config-changed follows there, changed at the peers. The
    /// old address stays reachable until what listens on it is restarted.
    pub fn change_address(&self, unit: &str) -> Result<Ipv4Addr> {
        let address =
            self.network.lock().unwrap_or_else(std::sync::PoisonError::into_inner).address()?;
        let mut state = lock(&self.state);
        let number = state.unit(unit)?.machine;
        let machine = state.machines.get_mut(&number).ok_or_else(|| Error::new("no machine"))?;
        machine.address = address;
        if machine.is_up {
            control::ask(&machine.root, &["address".into(), address.to_string()])?;
        }
        let units: Vec<String> = state
            .units
            .iter()
            .filter(|(_, unit)| unit.machine == number)
            .map(|(name, _)| name.clone())
            .collect();
        for unit in units {
            let keys = state.network_keys(&unit);
            for relation in state.relations.values_mut() {
                if let Some(bag) = relation.bags.get_mut(&unit) {
                    bag.apply(&keys);
                }
            }
        }
        Ok(address)
    }
}
