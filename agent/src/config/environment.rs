//! `ETCD_*` variables.

use super::error::ConfigError;
use super::flags;
use super::settings::{Settings, Source};

/// Known by etcd without a flag of the same name; nothing here depends on the architecture.
const WITHOUT_FLAG: [&str; 2] = ["ETCD_CONFIG_FILE", "ETCD_UNSUPPORTED_ARCH"];

/// Adds the variables to what the command line gave. An empty variable counts as unset; an
/// unknown one is a warning, because containers hand down all kinds.
///
/// # Errors
/// When a setting has both a flag and a variable.
pub(super) fn merge(
    mut settings: Settings,
    environment: &[(String, String)],
) -> Result<Settings, ConfigError> {
    let ours = environment.iter().filter(|(name, _)| name.starts_with("ETCD_"));
    for (name, value) in ours.filter(|(_, value)| !value.is_empty()) {
        match flags::all().find(|flag| flag.variable() == *name) {
            Some(flag) if settings.is_given(flag.name) => {
                let (flag, variable) = (flag.name.to_owned(), name.clone());
                return Err(ConfigError::Conflict { flag, variable });
            }
            Some(flag) => {
                settings.insert(flag.name, value.clone(), Source::Variable(name.clone()));
            }
            None if WITHOUT_FLAG.contains(&name.as_str()) => {}
            None => settings.warnings.push(format!("unrecognized environment variable {name}")),
        }
    }
    Ok(settings)
}
