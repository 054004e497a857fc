//! Storage instances: made, attached, kept.

use crate::error::{At, Error, Result};
use crate::state::{State, Storage};

/// Makes a storage for a unit; its storage-attached hook becomes due.
pub(crate) fn provision(state: &mut State, unit: &str, name: &str) {
    let number = state.counters.storage;
    state.counters.storage += 1;
    let id = format!("{name}/{number}");
    let Some(machine) = state.machine_of(unit) else { return };
    let location = machine.root.join("var/lib/juju/storage").join(&id);
    if let Err(error) = std::fs::create_dir_all(&location) {
        state.note(format!("{id}: {}: {error}", location.display()));
    }
    let storage =
        Storage { name: name.into(), location, unit: Some(unit.into()), is_attached: false };
    state.storages.insert(id, storage);
}

/// Moves a kept storage to a unit's machine; its storage-attached hook becomes due.
pub(crate) fn reattach(state: &mut State, unit: &str, id: &str) -> Result<()> {
    let root = state
        .machine_of(unit)
        .map(|machine| machine.root.clone())
        .ok_or_else(|| Error::new("no machine"))?;
    let storage = state
        .storages
        .get_mut(id)
        .ok_or_else(|| Error::new(format!("storage \"{id}\" not found")))?;
    if let Some(unit) = &storage.unit {
        return Err(Error::new(format!(
            "storage \"{id}\" is attached to {unit}: remove that unit first"
        )));
    }
    let location = root.join("var/lib/juju/storage").join(id);
    if location != storage.location {
        let parent = location.parent().unwrap_or(&root);
        std::fs::create_dir_all(parent).at(parent.display())?;
        std::fs::rename(&storage.location, &location).at(storage.location.display())?;
    }
    (storage.location, storage.unit, storage.is_attached) = (location, Some(unit.into()), false);
    Ok(())
}
