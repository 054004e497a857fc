//! Storage attached to the unit.

use std::path::PathBuf;

use serde::Deserialize;

use super::Tools;
use crate::error::Result;
use crate::names::StorageId;

/// An attached storage.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Storage {
    /// `filesystem` or `block`.
    pub kind: String,
    /// Where it is mounted, or its device.
    pub location: PathBuf,
}

impl Tools {
    /// Storages attached to this unit, all or those of one name:
    /// `storage-list --format=json [NAME]`.
    pub fn storage_list(&self, name: Option<&str>) -> Result<Vec<StorageId>> {
        let call = self.call("storage-list").arg("--format=json");
        let call = match name {
            Some(name) => call.name(name)?,
            None => call,
        };
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// One storage: `storage-get --format=json -s ID`.
    pub fn storage_get(&self, storage: &StorageId) -> Result<Storage> {
        self.call("storage-get").arg("--format=json").option("-s", Some(storage)).json()
    }
}
