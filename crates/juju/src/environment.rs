//! The environment a hook runs in: what Juju tells by variables.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use crate::hook::Hook;
use crate::names::{ParseError, RelationId, SecretId, StorageId, UnitName};
use crate::version::Version;

/// What Juju tells a hook or an action about itself.
///
/// Juju builds the environment from nothing, so `HOME`, `USER` and the like may be missing; nothing
/// here needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The charm's directory, `JUJU_CHARM_DIR`; also the working directory of a hook.
    pub charm_dir: PathBuf,
    /// The unit this runs on.
    pub unit: UnitName,
    /// The model it is in.
    pub model: Model,
    /// The machine: `0`, `3/lxd/1`. `None` where Juju has none (Kubernetes).
    pub machine: Option<String>,
    /// The machine's availability zone, where the cloud has some.
    pub availability_zone: Option<String>,
    /// Version of the Juju agent.
    pub juju_version: Version,
    /// The hook, or the action.
    pub hook: Hook,
    /// The relation; always there in [`Hook::Relation`].
    pub relation: Option<RelationContext>,
    /// The storage; always there in [`Hook::Storage`].
    pub storage: Option<StorageContext>,
    /// The secret; always there in [`Hook::Secret`].
    pub secret: Option<SecretContext>,
    /// The action; always there in [`Hook::Action`].
    pub action: Option<ActionContext>,
    /// Proxies for downloads.
    pub proxies: Proxies,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// Its name, unique for its owner only.
    pub name: String,
    /// Its UUID.
    pub uuid: String,
}

/// What a relation hook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelationContext {
    /// Endpoint of this charm.
    pub endpoint: String,
    /// The relation.
    pub id: RelationId,
    /// The remote application; in a peer relation the own one.
    pub remote_app: Option<String>,
    /// The remote unit; `None` in created and broken, and in changed when the data of the remote
    /// application changed.
    pub remote_unit: Option<UnitName>,
    /// In departed, the unit that goes: the remote one or this one.
    pub departing_unit: Option<UnitName>,
}

/// What a storage hook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageContext {
    /// The storage.
    pub id: StorageId,
    /// Where it is mounted.
    pub location: Option<PathBuf>,
    /// `filesystem` or `block`.
    pub kind: Option<String>,
}

/// What a secret hook is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretContext {
    /// The secret.
    pub id: SecretId,
    /// Its label, if it has one.
    pub label: Option<String>,
    /// The revision, in expired and remove.
    pub revision: Option<u64>,
}

/// Which action this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionContext {
    /// Name of the action.
    pub name: String,
    /// Id of the task, as `juju show-task` takes it.
    pub id: Option<String>,
}

/// Proxies that the model sets for charms, as their variables spell them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// For http addresses, `JUJU_CHARM_HTTP_PROXY`.
    pub http: Option<String>,
    /// For https addresses, `JUJU_CHARM_HTTPS_PROXY`.
    pub https: Option<String>,
    /// Hosts to reach directly, comma separated, `JUJU_CHARM_NO_PROXY`.
    pub no_proxy: Option<String>,
}

/// The environment is not one that Juju makes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable that Juju always sets is missing or empty.
    #[error("{variable} is not set: this has to be run by an agent of Juju 2.9 or later")]
    Missing {
        /// Name of the variable.
        variable: &'static str,
    },
    /// A variable is not UTF-8.
    #[error("{variable} is not UTF-8: this has to be run by an agent of Juju 2.9 or later")]
    NotUtf8 {
        /// Name of the variable.
        variable: &'static str,
    },
    /// A variable has a value of another form than Juju gives it.
    #[error("{variable}: {source}")]
    Malformed {
        /// Name of the variable.
        variable: &'static str,
        /// What it should have been.
        source: ParseError,
    },
}

impl Environment {
    /// Reads the environment of this process.
    ///
    /// # Errors
    ///
    /// When this does not run under a Juju agent, or under one older than 2.9.
    pub fn from_process() -> Result<Self, EnvironmentError> {
        Self::from_vars(std::env::vars_os())
    }

    /// Reads the given variables; the last one of a name counts.
    ///
    /// # Errors
    ///
    /// When a variable that Juju always sets is missing or empty, or has not the form Juju gives it.
    pub fn from_vars<N, V>(vars: impl IntoIterator<Item = (N, V)>) -> Result<Self, EnvironmentError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let vars = vars.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Variables(vars).environment()
    }
}

/// The variables, by name.
struct Variables(BTreeMap<OsString, OsString>);

impl Variables {
    fn environment(&self) -> Result<Environment, EnvironmentError> {
        let hook = self.hook()?;
        Ok(Environment {
            charm_dir: self.charm_dir()?,
            unit: self.required("JUJU_UNIT_NAME")?,
            model: Model {
                name: self.required_text("JUJU_MODEL_NAME")?.to_owned(),
                uuid: self.required_text("JUJU_MODEL_UUID")?.to_owned(),
            },
            machine: self.owned("JUJU_MACHINE_ID")?,
            availability_zone: self.owned("JUJU_AVAILABILITY_ZONE")?,
            juju_version: self.required("JUJU_VERSION")?,
            relation: self.relation(matches!(hook, Hook::Relation { .. }))?,
            storage: self.storage(matches!(hook, Hook::Storage { .. }))?,
            secret: self.secret(matches!(hook, Hook::Secret(_)))?,
            action: self.action(hook.is_action())?,
            proxies: Proxies {
                http: self.owned("JUJU_CHARM_HTTP_PROXY")?,
                https: self.owned("JUJU_CHARM_HTTPS_PROXY")?,
                no_proxy: self.owned("JUJU_CHARM_NO_PROXY")?,
            },
            hook,
        })
    }

    /// `JUJU_DISPATCH_PATH` alone tells hooks from actions; the name of the hook is the fall-back.
    fn hook(&self) -> Result<Hook, EnvironmentError> {
        const PATH: &str = "JUJU_DISPATCH_PATH";
        match self.text(PATH)? {
            Some(path) => Hook::from_dispatch_path(path).map_err(malformed(PATH)),
            None => match self.parsed("JUJU_HOOK_NAME")? {
                Some(hook) => Ok(hook),
                None => Err(EnvironmentError::Missing { variable: PATH }),
            },
        }
    }

    fn charm_dir(&self) -> Result<PathBuf, EnvironmentError> {
        self.path("JUJU_CHARM_DIR")
            .or_else(|| self.path("CHARM_DIR"))
            .ok_or(EnvironmentError::Missing { variable: "JUJU_CHARM_DIR" })
    }

    fn relation(&self, is_required: bool) -> Result<Option<RelationContext>, EnvironmentError> {
        if !is_required && self.text("JUJU_RELATION_ID")?.is_none() {
            return Ok(None);
        }
        let id: RelationId = self.required("JUJU_RELATION_ID")?;
        Ok(Some(RelationContext {
            endpoint: id.endpoint().to_owned(),
            id,
            remote_app: self.owned("JUJU_REMOTE_APP")?,
            remote_unit: self.remote_unit()?,
            departing_unit: self.parsed("JUJU_DEPARTING_UNIT")?,
        }))
    }

    /// Some versions of Juju put the application's name here when its data changed.
    fn remote_unit(&self) -> Result<Option<UnitName>, EnvironmentError> {
        match self.text("JUJU_REMOTE_UNIT")? {
            Some(unit) if unit.contains('/') => self.parsed("JUJU_REMOTE_UNIT"),
            _ => Ok(None),
        }
    }

    fn storage(&self, is_required: bool) -> Result<Option<StorageContext>, EnvironmentError> {
        if !is_required && self.text("JUJU_STORAGE_ID")?.is_none() {
            return Ok(None);
        }
        Ok(Some(StorageContext {
            id: self.required("JUJU_STORAGE_ID")?,
            location: self.path("JUJU_STORAGE_LOCATION"),
            kind: self.owned("JUJU_STORAGE_KIND")?,
        }))
    }

    fn secret(&self, is_required: bool) -> Result<Option<SecretContext>, EnvironmentError> {
        if !is_required && self.text("JUJU_SECRET_ID")?.is_none() {
            return Ok(None);
        }
        let revision = self.text("JUJU_SECRET_REVISION")?.map(|revision| {
            let error = |_| ParseError::new("the number of a revision", revision);
            revision.parse().map_err(error).map_err(malformed("JUJU_SECRET_REVISION"))
        });
        Ok(Some(SecretContext {
            id: self.required("JUJU_SECRET_ID")?,
            label: self.owned("JUJU_SECRET_LABEL")?,
            revision: revision.transpose()?,
        }))
    }

    fn action(&self, is_required: bool) -> Result<Option<ActionContext>, EnvironmentError> {
        if !is_required && self.text("JUJU_ACTION_NAME")?.is_none() {
            return Ok(None);
        }
        Ok(Some(ActionContext {
            name: self.required_text("JUJU_ACTION_NAME")?.to_owned(),
            id: self.owned("JUJU_ACTION_UUID")?,
        }))
    }

    /// A path need not be UTF-8; an empty one is none.
    fn path(&self, variable: &str) -> Option<PathBuf> {
        self.0.get(&OsString::from(variable)).filter(|path| !path.is_empty()).map(PathBuf::from)
    }

    /// Juju exports many variables empty when there is nothing to say.
    fn text(&self, variable: &'static str) -> Result<Option<&str>, EnvironmentError> {
        match self.0.get(&OsString::from(variable)).map(|value| value.to_str()) {
            Some(None) => Err(EnvironmentError::NotUtf8 { variable }),
            Some(Some(text)) => Ok(Some(text).filter(|text| !text.is_empty())),
            None => Ok(None),
        }
    }

    fn required_text(&self, variable: &'static str) -> Result<&str, EnvironmentError> {
        self.text(variable)?.ok_or(EnvironmentError::Missing { variable })
    }

    fn owned(&self, variable: &'static str) -> Result<Option<String>, EnvironmentError> {
        Ok(self.text(variable)?.map(str::to_owned))
    }

    fn parsed<T>(&self, variable: &'static str) -> Result<Option<T>, EnvironmentError>
    where
        T: FromStr<Err = ParseError>,
    {
        self.text(variable)?.map(str::parse).transpose().map_err(malformed(variable))
    }

    fn required<T>(&self, variable: &'static str) -> Result<T, EnvironmentError>
    where
        T: FromStr<Err = ParseError>,
    {
        self.parsed(variable)?.ok_or(EnvironmentError::Missing { variable })
    }
}

fn malformed(variable: &'static str) -> impl Fn(ParseError) -> EnvironmentError {
    move |source| EnvironmentError::Malformed { variable, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;
    use crate::hook::{RelationEvent, SecretEvent, StorageEvent};

    const ALWAYS: [(&str, &str); 10] = [
        ("JUJU_CHARM_DIR", "/var/lib/juju/agents/unit-etcd-0/charm"),
        ("JUJU_HOOK_NAME", "install"),
        ("JUJU_DISPATCH_PATH", "hooks/install"),
        ("JUJU_UNIT_NAME", "etcd/0"),
        ("JUJU_MODEL_NAME", "prod"),
        ("JUJU_MODEL_UUID", "1b9f"),
        ("JUJU_MACHINE_ID", "3/lxd/1"),
        ("JUJU_AVAILABILITY_ZONE", ""),
        ("JUJU_VERSION", "3.6.11"),
        ("JUJU_CHARM_HTTP_PROXY", ""),
    ];

    fn with(more: &[(&'static str, &'static str)]) -> Result<Environment, EnvironmentError> {
        Environment::from_vars(ALWAYS.iter().chain(more).copied())
    }

    #[test]
    fn a_plain_hook_has_no_context_and_empty_variables_are_none() {
        let environment = with(&[("JUJU_CHARM_NO_PROXY", "10.0.0.0/8,localhost")]).unwrap();
        assert_eq!(environment.hook, Hook::Install);
        assert_eq!(environment.unit.to_string(), "etcd/0");
        assert_eq!(environment.machine.as_deref(), Some("3/lxd/1"));
        assert_eq!(environment.availability_zone, None);
        assert_eq!(environment.juju_version, Version::new(3, 6, 11));
        assert_eq!(environment.proxies.http, None);
        assert_eq!(environment.proxies.no_proxy.as_deref(), Some("10.0.0.0/8,localhost"));
        assert_eq!((environment.relation, environment.storage), (None, None));
        assert_eq!((environment.secret, environment.action), (None, None));
    }

    #[test]
    fn a_departed_hook_knows_who_goes() {
        let relation = with(&[
            ("JUJU_DISPATCH_PATH", "hooks/my-cluster-relation-departed"),
            ("JUJU_RELATION", "my-cluster"),
            ("JUJU_RELATION_ID", "my-cluster:4"),
            ("JUJU_REMOTE_APP", "etcd"),
            ("JUJU_REMOTE_UNIT", "etcd/1"),
            ("JUJU_DEPARTING_UNIT", "etcd/1"),
        ]);
        let environment = relation.unwrap();
        assert_eq!(environment.hook, Hook::relation("my-cluster", RelationEvent::Departed));
        let relation = environment.relation.unwrap();
        assert_eq!((relation.endpoint.as_str(), relation.id.number()), ("my-cluster", 4));
        assert_eq!(relation.remote_app.as_deref(), Some("etcd"));
        assert_eq!(relation.remote_unit, relation.departing_unit);
    }

    #[test]
    fn application_data_changes_have_no_remote_unit() {
        for remote_unit in ["", "etcd"] {
            let environment = with(&[
                ("JUJU_DISPATCH_PATH", "hooks/cluster-relation-changed"),
                ("JUJU_RELATION_ID", "cluster:0"),
                ("JUJU_REMOTE_UNIT", remote_unit),
                ("JUJU_DEPARTING_UNIT", ""),
            ]);
            let relation = environment.unwrap().relation.unwrap();
            assert_eq!((relation.remote_unit, relation.departing_unit), (None, None));
        }
    }

    #[test]
    fn storage_secrets_and_actions_have_their_context() {
        let storage = with(&[
            ("JUJU_DISPATCH_PATH", "hooks/data-storage-detaching"),
            ("JUJU_STORAGE_ID", "data/7"),
            ("JUJU_STORAGE_LOCATION", "/srv/data/7"),
            ("JUJU_STORAGE_KIND", "filesystem"),
        ]);
        let storage = storage.unwrap();
        assert_eq!(storage.hook, Hook::storage("data", StorageEvent::Detaching));
        assert_eq!(storage.storage.unwrap().location, Some("/srv/data/7".into()));

        let secret = with(&[
            ("JUJU_DISPATCH_PATH", "hooks/secret-expired"),
            ("JUJU_SECRET_ID", "secret:9m4e"),
            ("JUJU_SECRET_REVISION", "2"),
        ]);
        let secret = secret.unwrap();
        assert_eq!(secret.hook, Hook::Secret(SecretEvent::Expired));
        assert_eq!(secret.secret.unwrap().revision, Some(2));

        let action = with(&[
            ("JUJU_HOOK_NAME", ""),
            ("JUJU_DISPATCH_PATH", "actions/health"),
            ("JUJU_ACTION_NAME", "health"),
            ("JUJU_ACTION_UUID", "12"),
        ]);
        let expected = ActionContext { name: "health".to_owned(), id: Some("12".to_owned()) };
        assert_eq!(action.unwrap().action, Some(expected));
    }

    #[test]
    fn the_hook_name_serves_where_there_is_no_dispatch_path() {
        let environment = with(&[("JUJU_DISPATCH_PATH", ""), ("JUJU_HOOK_NAME", "stop")]).unwrap();
        assert_eq!(environment.hook, Hook::Stop);
        let error = with(&[("JUJU_DISPATCH_PATH", ""), ("JUJU_HOOK_NAME", "")]).unwrap_err();
        assert_eq!(error, EnvironmentError::Missing { variable: "JUJU_DISPATCH_PATH" });
    }

    #[test]
    fn a_missing_variable_is_named_with_the_juju_it_needs() {
        for variable in ["JUJU_CHARM_DIR", "JUJU_UNIT_NAME", "JUJU_MODEL_UUID", "JUJU_VERSION"] {
            let error = with(&[(variable, "")]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "{variable} is not set: this has to be run by an agent of Juju 2.9 or later"
                )
            );
        }
        let nothing: [(&str, &str); 0] = [];
        assert!(Environment::from_vars(nothing).is_err());
    }

    #[test]
    fn a_relation_hook_without_its_relation_is_an_error() {
        let error = with(&[("JUJU_DISPATCH_PATH", "hooks/db-relation-joined")]).unwrap_err();
        assert_eq!(error, EnvironmentError::Missing { variable: "JUJU_RELATION_ID" });
    }

    #[test]
    fn malformed_and_foreign_bytes_are_named() {
        let error = with(&[("JUJU_UNIT_NAME", "etcd")]).unwrap_err();
        let text = "JUJU_UNIT_NAME: `etcd` is not the name of a unit, such as `etcd/0`";
        assert_eq!(error.to_string(), text);

        let vars = ALWAYS.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let bytes = OsString::from_vec(vec![0xff, 0xfe]);
        let foreign = vars.clone().chain([("JUJU_MODEL_NAME".into(), bytes.clone())]);
        let error = Environment::from_vars(foreign).unwrap_err();
        assert_eq!(error, EnvironmentError::NotUtf8 { variable: "JUJU_MODEL_NAME" });

        let unrelated = vars.chain([(bytes.clone(), bytes.clone()), ("CHARM_DIR".into(), bytes)]);
        assert!(Environment::from_vars(unrelated).is_ok());
    }
}
