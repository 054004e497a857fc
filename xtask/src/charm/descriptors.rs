//! The charm's descriptors, as far as packing looks at them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_yaml::Value;

/// Hooks that have one name, those of every Juju this charm runs on.
const PLAIN_HOOKS: [&str; 8] = [
    "config-changed",
    "install",
    "leader-elected",
    "remove",
    "start",
    "stop",
    "update-status",
    "upgrade-charm",
];

/// What happens to a relation. A peer relation has all but the last.
const RELATION_EVENTS: [&str; 5] = ["created", "joined", "changed", "departed", "broken"];

/// What happens to a storage.
const STORAGE_EVENTS: [&str; 2] = ["attached", "detaching"];

/// The part of metadata.yaml that gives hooks their names.
#[derive(Deserialize)]
pub(crate) struct Metadata {
    #[serde(default)]
    pub(crate) provides: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) requires: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) peers: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) storage: BTreeMap<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Manifest {
    bases: Vec<Base>,
}

#[derive(Serialize, Deserialize)]
struct Base {
    name: String,
    channel: String,
    architectures: Vec<String>,
}

impl Metadata {
    /// Every hook Juju would run from a file of its own.
    pub(crate) fn hooks(&self) -> BTreeSet<String> {
        let mut hooks: BTreeSet<String> = PLAIN_HOOKS.map(str::to_owned).into();
        let mut add = |endpoints: &BTreeMap<String, Value>, kind: &str, events: &[&str]| {
            for endpoint in endpoints.keys() {
                hooks.extend(events.iter().map(|event| format!("{endpoint}-{kind}-{event}")));
            }
        };
        add(&self.provides, "relation", &RELATION_EVENTS);
        add(&self.requires, "relation", &RELATION_EVENTS);
        add(&self.peers, "relation", &RELATION_EVENTS[..4]);
        add(&self.storage, "storage", &STORAGE_EVENTS);
        hooks
    }
}

/// Reads one of the descriptors.
pub(crate) fn read<T: for<'de> Deserialize<'de>>(root: &Path, name: &str) -> Result<T> {
    let text =
        std::fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))?;
    serde_yaml::from_str(&text).with_context(|| format!("{name} is not what it should be"))
}

/// Refuses programs that Juju would never run, and actions it would look for in vain.
pub(crate) fn check_programs(root: &Path, hooks: &[String], actions: &[String]) -> Result<()> {
    let known = read::<Metadata>(root, "metadata.yaml")?.hooks();
    if let Some(name) = hooks.iter().find(|name| !known.contains(*name)) {
        bail!("hooks/src/bin/{name}.rs: Juju runs no hook of that name for metadata.yaml");
    }
    if let Some(name) = ["install", "start", "config-changed"]
        .iter()
        .find(|name| !hooks.iter().any(|hook| hook == *name))
    {
        bail!("hooks/src/bin/{name}.rs is missing: without it nothing would be deployed");
    }
    let declared = read::<BTreeMap<String, Value>>(root, "actions.yaml")?;
    if let Some(name) = actions.iter().find(|name| !declared.contains_key(*name)) {
        bail!("actions/src/bin/{name}.rs: actions.yaml has no action of that name");
    }
    if let Some(name) = declared.keys().find(|name| !actions.contains(name)) {
        bail!("actions.yaml: the action {name} has no program actions/src/bin/{name}.rs");
    }
    Ok(())
}

/// The manifest of an archive for one architecture: on machines of another kind Juju has to refuse
/// it, since its programs would not start there.
pub(crate) fn manifest_for(root: &Path, architecture: &str) -> Result<String> {
    let mut manifest: Manifest = read(root, "manifest.yaml")?;
    for base in &mut manifest.bases {
        base.architectures.retain(|name| name == architecture);
    }
    manifest.bases.retain(|base| !base.architectures.is_empty());
    if manifest.bases.is_empty() {
        bail!("manifest.yaml has no base with the architecture {architecture}");
    }
    serde_yaml::to_string(&manifest).context("cannot write manifest.yaml")
}
