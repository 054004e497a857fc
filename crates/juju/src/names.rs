//! Juju's names, checked once and then trusted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name does not have the form Juju gives it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseError {
    expected: &'static str,
    text: String,
}

impl ParseError {
    pub(crate) fn new(expected: &'static str, text: &str) -> Self {
        Self { expected, text: text.to_owned() }
    }
}

/// Name of a unit: `etcd/0`. Ordered by application, then by number (`etcd/2` before `etcd/10`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UnitName {
    app: String,
    number: u32,
}

impl UnitName {
    /// Unit `number` of application `app`.
    ///
    /// # Errors
    ///
    /// When `app` is no name of an application.
    pub fn new(app: &str, number: u32) -> Result<Self, ParseError> {
        if !is_application(app) {
            return Err(ParseError::new("the name of an application, such as `etcd`", app));
        }
        Ok(Self { app: app.to_owned(), number })
    }

    /// The unit behind a member's name: `etcd-0` is `etcd/0`; `None` when it names no unit. Exact:
    /// what follows the last hyphen is the number, and no application's name ends in one.
    pub fn from_member_name(member: &str) -> Option<Self> {
        let (app, unit_number) = member.rsplit_once('-')?;
        Self::new(app, number(unit_number)?).ok()
    }

    /// Name of the application: `etcd`.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// Number of the unit within the application; Juju does not use one twice.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// The name with a hyphen for the slash: `etcd-0`. The member of the cluster and every path of
    /// the unit are called so.
    pub fn member_name(&self) -> String {
        format!("{}-{}", self.app, self.number)
    }
}

impl FromStr for UnitName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.split_once('/')
            .and_then(|(app, unit_number)| Self::new(app, number(unit_number)?).ok())
            .ok_or_else(|| ParseError::new("the name of a unit, such as `etcd/0`", text))
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.app, self.number)
    }
}

/// Id of a relation: `cluster:3`. The endpoint is the one of this charm.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RelationId {
    endpoint: String,
    number: u32,
}

impl RelationId {
    /// Relation `number` at `endpoint`.
    ///
    /// # Errors
    ///
    /// When `endpoint` is no name of an endpoint.
    pub fn new(endpoint: &str, number: u32) -> Result<Self, ParseError> {
        if !is_endpoint(endpoint) {
            return Err(ParseError::new("the name of an endpoint, such as `cluster`", endpoint));
        }
        Ok(Self { endpoint: endpoint.to_owned(), number })
    }

    /// Name of the endpoint: `cluster`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Number of the relation within the model.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for RelationId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.rsplit_once(':')
            .and_then(|(endpoint, id)| Self::new(endpoint, number(id)?).ok())
            .ok_or_else(|| ParseError::new("the id of a relation, such as `cluster:3`", text))
    }
}

impl fmt::Display for RelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.endpoint, self.number)
    }
}

/// Id of a storage instance: `data/0`. Its number has nothing to do with the unit's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StorageId {
    name: String,
    number: u32,
}

impl StorageId {
    /// Name of the storage in the charm's metadata: `data`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of the instance within the model.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl FromStr for StorageId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.split_once('/')
            .filter(|(name, _)| is_endpoint(name))
            .and_then(|(name, id)| Some(Self { name: name.to_owned(), number: number(id)? }))
            .ok_or_else(|| ParseError::new("the id of a storage, such as `data/0`", text))
    }
}

impl fmt::Display for StorageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.number)
    }
}

/// Id of a secret, as Juju gave it: `secret:9m4e2mr0ui3e8a215n4g` or the longer form that names the
/// model too. Opaque; it is no secret itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SecretId(String);

impl SecretId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_id = text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b":/-".contains(&byte));
        if is_id {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new("the id of a secret, such as `secret:9m4e2mr0ui3e8a215n4g`", text))
        }
    }
}

impl fmt::Display for SecretId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The conversions serde goes through, so that what comes from a tool is checked as well.
macro_rules! through_text {
    ($($name:ty),*) => {$(
        impl TryFrom<String> for $name {
            type Error = ParseError;

            fn try_from(text: String) -> Result<Self, ParseError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.to_string()
            }
        }
    )*};
}

through_text!(UnitName, RelationId, StorageId, SecretId);

/// Juju's rule: words of lower-case letters and digits joined by hyphens, each with a letter in it,
/// the first one beginning with it.
fn is_application(name: &str) -> bool {
    let is_word = |word: &str| {
        word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            && word.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('-').all(is_word)
}

/// Endpoints and storages: lower-case letters and digits joined by hyphens or underscores.
pub(crate) fn is_endpoint(name: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty()
            && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split(['-', '_']).all(is_word)
}

/// A number as Juju writes it: decimal, no sign, no leading zero.
fn number(text: &str) -> Option<u32> {
    let number = text.parse::<u32>().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_name_has_an_application_and_a_number() {
        let unit: UnitName = "my-etcd/10".parse().unwrap();
        assert_eq!((unit.app(), unit.number()), ("my-etcd", 10));
        assert_eq!(unit.to_string(), "my-etcd/10");
        assert_eq!(unit.member_name(), "my-etcd-10");
    }

    #[test]
    fn a_member_name_leads_back_to_its_unit_and_to_no_other() {
        for name in ["etcd/1", "etcd/10", "my-etcd/0", "a1/7"] {
            let unit: UnitName = name.parse().unwrap();
            assert_eq!(UnitName::from_member_name(&unit.member_name()), Some(unit));
        }
        for member in
            ["etcd", "etcd-", "etcd-01", "-1", "etcd-1-2", "etcd/1", "etcd-+1", "machine-x"]
        {
            assert_eq!(UnitName::from_member_name(member), None, "{member}");
        }
    }

    #[test]
    fn units_are_ordered_by_number_and_not_by_text() {
        let mut units: Vec<UnitName> =
            ["etcd/10", "etcd/2", "b/3"].map(|name| name.parse().unwrap()).into();
        units.sort();
        assert_eq!(
            units.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["b/3", "etcd/2", "etcd/10"]
        );
    }

    #[test]
    fn what_is_no_unit_is_refused() {
        for text in [
            "",
            "etcd",
            "etcd/",
            "/0",
            "etcd/01",
            "etcd/-1",
            "etcd/0/1",
            "Etcd/0",
            "1x/0",
            "a-1/0",
            "-x/0",
            "etcd/99999999999",
        ] {
            assert!(text.parse::<UnitName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_relation_id_names_its_endpoint() {
        let id: RelationId = "cos-agent:12".parse().unwrap();
        assert_eq!((id.endpoint(), id.number()), ("cos-agent", 12));
        assert_eq!(id.to_string(), "cos-agent:12");
        for text in ["12", "cluster", "cluster:", ":1", "cluster:-1", "-r:1", "a b:1"] {
            assert!(text.parse::<RelationId>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_storage_id_and_a_secret_id_are_checked() {
        let id: StorageId = "data/3".parse().unwrap();
        assert_eq!((id.name(), id.number(), id.to_string()), ("data", 3, "data/3".to_owned()));
        assert!("data".parse::<StorageId>().is_err());
        assert!("secret:9m4e2mr0ui3e8a215n4g".parse::<SecretId>().is_ok());
        assert!("secret://u-u-i-d/9m4e".parse::<SecretId>().is_ok());
        assert!("--file=/etc/shadow".parse::<SecretId>().is_err());
        assert!("".parse::<SecretId>().is_err());
    }
}
