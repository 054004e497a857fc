//! What a charm directory says about itself, as Juju reads it (juju-surface 1.1 to 1.5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::{At, Error, Result};

/// Role of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Units of one application among themselves.
    Peer,
    /// Offers the interface.
    Provides,
    /// Needs the interface.
    Requires,
}

/// The descriptors of an unpacked charm.
#[derive(Clone, Debug)]
pub(crate) struct Charm {
    /// Where it is unpacked.
    pub dir: PathBuf,
    /// Its name in metadata.yaml.
    pub name: String,
    /// Endpoint to role and interface.
    pub endpoints: BTreeMap<String, (Role, String)>,
    /// Extra bindings of network spaces.
    pub bindings: Vec<String>,
    /// Storage name to how many are always there.
    pub storage: BTreeMap<String, u32>,
    /// Resource name to file name.
    pub resources: BTreeMap<String, String>,
    /// Option to type and default.
    pub options: BTreeMap<String, (String, Option<Value>)>,
    /// Action to its JSON schema.
    pub actions: BTreeMap<String, Value>,
}

/// Keys of an action that are not part of its schema's rest (juju-surface 1.5).
const ACTION_KEYS: &[&str] = &["description", "params", "parallel", "execution-group"];

impl Charm {
    /// Reads the descriptors of an unpacked charm. Only metadata.yaml has to be there.
    pub(crate) fn read(dir: &Path) -> Result<Self> {
        let dir = dir.canonicalize().at(dir.display())?;
        let metadata = yaml(&dir.join("metadata.yaml"))?.ok_or_else(|| {
            Error::new(format!("{}: archive file \"metadata.yaml\" not found", dir.display()))
        })?;
        let config = yaml(&dir.join("config.yaml"))?.unwrap_or_default();
        let actions = yaml(&dir.join("actions.yaml"))?.unwrap_or_default();
        Ok(Self {
            name: text(&metadata, "name"),
            endpoints: endpoints(&metadata),
            bindings: keys(&metadata, "extra-bindings"),
            storage: storage(&metadata),
            resources: resources(&metadata),
            options: options(&config),
            actions: actions_of(&actions),
            dir,
        })
    }

    /// The value of an option as typed at `juju config`. An error for an unknown option or a value
    /// that does not fit its type.
    pub(crate) fn option_value(&self, option: &str, typed: &str) -> Result<Value> {
        let (kind, _) = self
            .options
            .get(option)
            .ok_or_else(|| Error::new(format!("unknown option \"{option}\"")))?;
        let wrong = || Error::new(format!("option {option}: expected {kind}, got \"{typed}\""));
        match kind.as_str() {
            "int" => typed.parse::<i64>().map(Value::from).map_err(|_| wrong()),
            "float" => typed.parse::<f64>().map(Value::from).map_err(|_| wrong()),
            "boolean" => match typed {
                "true" | "True" => Ok(Value::Bool(true)),
                "false" | "False" => Ok(Value::Bool(false)),
                _ => Err(wrong()),
            },
            _ => Ok(Value::from(typed)),
        }
    }
}

fn yaml(path: &Path) -> Result<Option<Map<String, Value>>> {
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(path).at(path.display())?;
    let value: Value = serde_yaml::from_str(&text).at(path.display())?;
    match value {
        Value::Object(map) => Ok(Some(map)),
        Value::Null => Ok(Some(Map::new())),
        _ => Err(Error::new(format!("{}: expected a map", path.display()))),
    }
}

fn text(map: &Map<String, Value>, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn section<'a>(
    map: &'a Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    map.get(key).and_then(Value::as_object).into_iter().flatten()
}

fn keys(map: &Map<String, Value>, key: &str) -> Vec<String> {
    section(map, key).map(|(name, _)| name.clone()).collect()
}

fn endpoints(metadata: &Map<String, Value>) -> BTreeMap<String, (Role, String)> {
    let roles = [("peers", Role::Peer), ("provides", Role::Provides), ("requires", Role::Requires)];
    let mut found = BTreeMap::new();
    for (key, role) in roles {
        for (name, value) in section(metadata, key) {
            let interface =
                value.as_str().or_else(|| value.get("interface").and_then(Value::as_str));
            found.insert(name.clone(), (role, interface.unwrap_or_default().to_owned()));
        }
    }
    found
}

fn storage(metadata: &Map<String, Value>) -> BTreeMap<String, u32> {
    section(metadata, "storage").map(|(name, value)| (name.clone(), always(value))).collect()
}

/// The lower bound of `multiple.range`; one without it (juju-surface 1.2).
fn always(storage: &Value) -> u32 {
    let range = match &storage["multiple"]["range"] {
        Value::String(range) => range.clone(),
        Value::Number(count) => count.to_string(),
        _ => return 1,
    };
    let digits: String = range.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

fn resources(metadata: &Map<String, Value>) -> BTreeMap<String, String> {
    section(metadata, "resources")
        .map(|(name, value)| (name.clone(), value["filename"].as_str().unwrap_or(name).to_owned()))
        .collect()
}

fn options(config: &Map<String, Value>) -> BTreeMap<String, (String, Option<Value>)> {
    section(config, "options")
        .map(|(name, value)| {
            let kind = value["type"].as_str().unwrap_or("string").to_owned();
            (name.clone(), (kind, value.get("default").filter(|value| !value.is_null()).cloned()))
        })
        .collect()
}

fn actions_of(actions: &Map<String, Value>) -> BTreeMap<String, Value> {
    actions.iter().map(|(name, value)| (name.clone(), schema(value))).collect()
}

/// The JSON schema Juju makes of an action: params become properties, further keys are kept.
fn schema(action: &Value) -> Value {
    let mut schema =
        json!({"type": "object", "properties": action.get("params").cloned().unwrap_or(json!({}))});
    for (key, value) in action.as_object().into_iter().flatten() {
        if !ACTION_KEYS.contains(&key.as_str()) {
            schema[key] = value.clone();
        }
    }
    schema
}
