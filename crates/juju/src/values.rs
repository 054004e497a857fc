//! Named, typed values: a charm's configuration, an action's parameters.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A charm's configuration, as `config-get` tells it.
pub type Config = Values;

/// An action's parameters, as `action-get` tells them, defaults of its schema filled in.
pub type Parameters = Values;

/// Named values with types. A value that is absent or null is `None`; one of another type than asked
/// for is an error, because the charm's descriptors promise the type.
#[derive(Debug, Clone, PartialEq)]
pub struct Values {
    tool: &'static str,
    values: Map<String, Value>,
}

/// Whole numbers up to here are exact in the floating point that some versions of Juju write.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

impl Values {
    /// Values as `config-get` would tell them, for decisions made without Juju.
    pub fn from_config(values: Map<String, Value>) -> Self {
        Self { tool: "config-get", values }
    }

    /// Values as `action-get` would tell them.
    pub fn from_parameters(values: Map<String, Value>) -> Self {
        Self { tool: "action-get", values }
    }

    /// A string.
    ///
    /// # Errors
    ///
    /// [`Error::NotUnderstood`] when it is something else.
    pub fn string(&self, name: &str) -> Result<Option<&str>> {
        self.typed(name, "a string", Value::as_str)
    }

    /// A truth value.
    ///
    /// # Errors
    ///
    /// [`Error::NotUnderstood`] when it is something else.
    pub fn bool(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// A whole number.
    ///
    /// # Errors
    ///
    /// [`Error::NotUnderstood`] when it is something else, has a fraction or is beyond 64 bits.
    pub fn int(&self, name: &str) -> Result<Option<i64>> {
        self.typed(name, "a whole number of 64 bits", whole)
    }

    /// The value as it is; `None` when it is absent or null.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).filter(|value| !value.is_null())
    }

    /// Names of everything that is there.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    fn typed<'a, T>(
        &'a self,
        name: &str,
        expected: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let why = || format!("`{name}` is {}, expected {expected}", kind(value));
        let error = || Error::NotUnderstood { tool: self.tool, why: why() };
        read(value).map(Some).ok_or_else(error)
    }
}

fn whole(value: &Value) -> Option<i64> {
    let exact = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT_MAX;
    value.as_i64().or_else(|| value.as_f64().filter(exact).map(|number| number as i64))
}

/// The type only: the value may be a secret.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Values {
        Values::from_config(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn values_have_the_types_the_charm_declared() {
        let values = values(r#"{"port":2379,"quota":8e9,"name":"x","debug":true,"unset":null}"#);
        assert_eq!(values.int("port").unwrap(), Some(2379));
        assert_eq!(values.int("quota").unwrap(), Some(8_000_000_000));
        assert_eq!(values.string("name").unwrap(), Some("x"));
        assert_eq!(values.bool("debug").unwrap(), Some(true));
        assert_eq!(values.string("unset").unwrap(), None);
        assert_eq!(values.int("absent").unwrap(), None);
        assert_eq!(values.names().count(), 5);
    }

    #[test]
    fn another_type_is_an_error_that_does_not_show_the_value() {
        let values = values(r#"{"port":"s3cret","half":0.5,"huge":1e300}"#);
        let error = values.int("port").unwrap_err().to_string();
        assert!(error.contains("`port` is a string, expected a whole number"), "{error}");
        assert!(!error.contains("s3cret"), "{error}");
        assert!(values.int("half").is_err());
        assert!(values.int("huge").is_err());
        assert!(values.bool("port").is_err());
        assert!(values.string("half").is_err());
    }
}
