//! What a person gave the application: configuration and resources.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::Tools;
use crate::error::{Error, Result};
use crate::values::Config;

/// How long `resource-get` may take when the limit of the tools is shorter: it downloads the file
/// from the controller.
pub const RESOURCE_TIME_MAX: Duration = Duration::from_secs(15 * 60);

impl Tools {
    /// The application's configuration: `config-get --format=json`. Options that are unset and have
    /// no default are not in it.
    pub fn config_get(&self) -> Result<Config> {
        let values: Option<Map<String, Value>> =
            self.call("config-get").arg("--format=json").json()?;
        Ok(Config::from_config(values.unwrap_or_default()))
    }

    /// The file of a resource: `resource-get NAME`. Juju downloads it at the first call and when
    /// another revision was attached, so a call can take up to [`RESOURCE_TIME_MAX`]; the path stays
    /// good after the hook. `None` when nobody attached a file: Juju then names no path or says
    /// `not found`.
    pub fn resource_get(&self, name: &str) -> Result<Option<PathBuf>> {
        let time_max = self.time_max.max(RESOURCE_TIME_MAX);
        match self.call_within("resource-get", time_max).name(name)?.bytes() {
            Ok(path) => Ok(Some(path.trim_ascii().to_vec())
                .filter(|path| !path.is_empty())
                .map(|path| PathBuf::from(OsString::from_vec(path)))),
            Err(Error::Failed { stderr, .. }) if stderr.contains("not found") => Ok(None),
            Err(error) => Err(error),
        }
    }
}
