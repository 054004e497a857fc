//! Checks an action's parameters as the Juju client does, and fills in defaults.

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// The parameters an action sees. Errors when they do not fit the schema: the action does not run.
pub(crate) fn admit(
    schema: &Value,
    given: &Map<String, Value>,
    unknown_by_default: bool,
) -> Result<Map<String, Value>> {
    let empty = Map::new();
    let properties = schema["properties"].as_object().unwrap_or(&empty);
    let takes_unknown = schema["additionalProperties"].as_bool().unwrap_or(unknown_by_default);
    for (key, value) in given {
        match properties.get(key) {
            Some(property) => fits(key, property, value)?,
            None if takes_unknown => {}
            None => {
                return Err(Error::new(format!(
                    "validation failed: additional property \"{key}\" is not allowed, given {value}"
                )));
            }
        }
    }
    let mut params = given.clone();
    for (key, property) in properties {
        if let (false, Some(default)) = (params.contains_key(key), property.get("default")) {
            params.insert(key.clone(), default.clone());
        }
    }
    for key in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !params.contains_key(key) {
            return Err(Error::new(format!(
                "validation failed: (root) : \"{key}\" property is missing and required, given {}",
                Value::from(given.clone())
            )));
        }
    }
    Ok(params)
}

fn fits(key: &str, property: &Value, value: &Value) -> Result<()> {
    let refuse = |why: &str| {
        Err(Error::new(format!("validation failed: (root).{key} : {why}, given {value}")))
    };
    let is_right = match property["type"].as_str() {
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        _ => true,
    };
    if !is_right {
        return refuse(&format!("must be of type {}", property["type"].as_str().unwrap_or("any")));
    }
    if let (Some(least), Some(number)) = (property["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        return refuse(&format!("must be greater than or equal to {least}"));
    }
    if let (Some(most), Some(number)) = (property["maximum"].as_f64(), value.as_f64())
        && number > most
    {
        return refuse(&format!("must be less than or equal to {most}"));
    }
    match property["enum"].as_array() {
        Some(allowed) if !allowed.contains(value) => refuse("must be one of the allowed values"),
        _ => Ok(()),
    }
}
