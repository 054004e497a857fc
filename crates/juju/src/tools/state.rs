//! The unit's notes that Juju keeps.

use std::collections::BTreeMap;

use super::Tools;
use crate::error::Result;

impl Tools {
    /// One note: `state-get --format=json KEY`. Absent and empty are not told apart: both are
    /// `None`.
    pub fn state_get(&self, key: &str) -> Result<Option<String>> {
        let call = self.call("state-get").arg("--format=json").name(key)?;
        Ok(call.json::<Option<String>>()?.filter(|value| !value.is_empty()))
    }

    /// All notes: `state-get --format=json`.
    pub fn state_get_all(&self) -> Result<BTreeMap<String, String>> {
        let call = self.call("state-get").arg("--format=json");
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// Writes notes, kept when the hook has succeeded: `state-set --file -` with the map on standard
    /// input. No tool is run when the map is empty.
    pub fn state_set(&self, notes: &BTreeMap<String, String>) -> Result<()> {
        if notes.is_empty() {
            return Ok(());
        }
        let notes = notes.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.call("state-set").map_on_stdin(&notes).done()
    }

    /// Deletes a note when the hook has succeeded: `state-delete KEY`.
    pub fn state_delete(&self, key: &str) -> Result<()> {
        self.call("state-delete").name(key)?.done()
    }
}
