//! Relations and their data.

use std::collections::BTreeMap;

use super::{Scope, Tools, invalid};
use crate::error::Result;
use crate::names::{RelationId, UnitName};

/// Whose data in a relation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bag {
    /// A unit's: this one, or a remote one.
    Unit(UnitName),
    /// An application's: the own one (by its units in a peer relation, else by its leader only), or
    /// the remote one.
    App(String),
}

/// What to write into a bag: a value, or `None` to delete the key.
pub type Changes = BTreeMap<String, Option<String>>;

impl Tools {
    /// Relations at an endpoint: `relation-ids ENDPOINT --format=json`.
    pub fn relation_ids(&self, endpoint: &str) -> Result<Vec<RelationId>> {
        let call = self.call("relation-ids").name(endpoint)?.arg("--format=json");
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// Remote units in a relation, without this one: `relation-list --format=json -r ID`.
    pub fn relation_list(&self, relation: &RelationId) -> Result<Vec<UnitName>> {
        let call = self.call("relation-list").arg("--format=json").option("-r", Some(relation));
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// The remote application of a relation: `relation-list --format=json --app -r ID`.
    pub fn relation_app(&self, relation: &RelationId) -> Result<Option<String>> {
        let call = self.call("relation-list").args(["--format=json", "--app"]);
        let app: Option<String> = call.option("-r", Some(relation)).json()?;
        Ok(app.filter(|app| !app.is_empty()))
    }

    /// All data in a bag: `relation-get --format=json -r ID [--app] - UNIT|APP`.
    ///
    /// Of the own bags this shows what the hook has written already. A remote bag may lack any key,
    /// above all in joined.
    pub fn relation_get(
        &self,
        relation: &RelationId,
        bag: &Bag,
    ) -> Result<BTreeMap<String, String>> {
        let call = self.call("relation-get").arg("--format=json").option("-r", Some(relation));
        let call = match bag {
            Bag::Unit(unit) => call.arg("-").arg(unit.to_string()),
            Bag::App(app) => call.args(["--app", "-"]).name(app)?,
        };
        Ok(call.json::<Option<_>>()?.unwrap_or_default())
    }

    /// Writes to this unit's or this application's bag, visible when the hook has succeeded:
    /// `relation-set -r ID [--app] --file -` with the map on standard input. An empty value deletes
    /// the key, as `None` does. No tool is run when there is nothing to change.
    ///
    /// The application's bag is for the Juju leader; one that has lost leadership by the end of the
    /// hook fails it.
    pub fn relation_set(
        &self,
        relation: &RelationId,
        scope: Scope,
        changes: &Changes,
    ) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        if changes.contains_key("") {
            return Err(invalid("relation-set", "a key is empty, give it a name".to_owned()));
        }
        let app = (scope == Scope::App).then_some("--app");
        let settings = changes
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_deref().unwrap_or_default()))
            .collect();
        let call = self.call("relation-set").option("-r", Some(relation)).args(app);
        call.map_on_stdin(&settings).done()
    }
}
