//! The snapshot that decisions are made from: plain data, nothing that asks or acts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use juju::{Hook, RelationId, UnitName};

use crate::agent::AgentStatus;
use crate::notes::Notes;
use crate::options::{Options, Source};
use crate::paths::Paths;

/// What a hook found when it began.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The hook.
    pub hook: Hook,
    /// This unit.
    pub unit: UnitName,
    /// In a departed hook, the unit that goes.
    pub departing: Option<UnitName>,
    /// Now, seconds since 1970.
    pub now_s: u64,
    /// A random text, should a cluster token be needed.
    pub fresh_token: String,
    /// True for the Juju leader.
    pub is_juju_leader: bool,
    /// The addresses of this unit.
    pub addresses: Addresses,
    /// The options of the member, or what is wrong with them.
    pub options: Result<Options, String>,
    /// The release asked for, or what is wrong with it.
    pub source: Result<Source, String>,
    /// The peer relation, once it exists.
    pub peer: Option<Peer>,
    /// The units Juju works towards and whether each is on its way out; `None` when it did not
    /// tell.
    pub goal: Option<BTreeMap<UnitName, bool>>,
    /// What the agent says; `None` when it does not answer.
    pub agent: Option<AgentStatus>,
    /// The service.
    pub service: Service,
    /// What was remembered.
    pub notes: Notes,
    /// Where storage `data` is mounted.
    pub storage: Option<PathBuf>,
    /// True when the data directory of a unit without storage holds a member.
    pub has_local_data: bool,
    /// The file of resource `release`.
    pub resource: Resource,
    /// Where things are.
    pub paths: Paths,
}

/// Addresses, without ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// To listen on for peers.
    pub peer_bind: Option<String>,
    /// Where peers reach this unit.
    pub peer: Option<String>,
    /// To listen on for clients.
    pub client_bind: Option<String>,
    /// Where clients reach this unit.
    pub client: Option<String>,
    /// Where the world reaches this unit.
    pub public: Option<String>,
}

/// The peer relation as committed before this hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: RelationId,
    /// The application's bag.
    pub app: BTreeMap<String, String>,
    /// This unit's bag.
    pub own: BTreeMap<String, String>,
    /// The other units' bags; any key may be missing.
    pub units: BTreeMap<UnitName, BTreeMap<String, String>>,
    /// In a departed hook, the last bag of the unit that went; empty otherwise.
    pub departed: BTreeMap<String, String>,
}

/// How the service stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Runs, or is on its way to.
    Up,
    /// Stopped, or there is none.
    Down,
    /// The service manager gave up.
    Failed,
}

/// The resource `release`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// Nobody attached one.
    None,
    /// A file; `stamp` changes when another one is attached.
    File {
        /// Where Juju put it.
        path: PathBuf,
        /// Size and time of change.
        stamp: String,
    },
    /// Juju could not tell: the line it said.
    Unknown(String),
}

impl Peer {
    /// A value of the application's bag that is not empty.
    pub fn app(&self, key: &str) -> Option<&str> {
        self.app.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The cluster, once it is formed.
    pub fn cluster_id(&self) -> Option<&str> {
        self.app("cluster-id")
    }

    /// The unit that founds the cluster.
    pub fn founder(&self) -> Option<UnitName> {
        self.app("founder")?.parse().ok()
    }
}

impl Facts {
    /// The units that belong to the application: this one, those in the relation and those that are
    /// to come. `None` when Juju did not tell all of it: absence cannot be known then.
    pub fn expected_units(&self) -> Option<BTreeSet<UnitName>> {
        let goal = self.goal.as_ref()?;
        let peer = self.peer.as_ref()?;
        let coming = goal.iter().filter(|(_, is_dying)| !**is_dying).map(|(unit, _)| unit);
        let mut units: BTreeSet<UnitName> = peer.units.keys().chain(coming).cloned().collect();
        // The relation may still list the unit that this hook says goodbye to.
        if let Some(departing) = &self.departing {
            units.remove(departing);
        }
        units.insert(self.unit.clone());
        Some(units)
    }

    /// True when other units are here to stay. Where Juju does not tell, those in the relation are.
    pub fn others_stay(&self) -> bool {
        match (&self.goal, &self.peer) {
            (Some(goal), _) => goal.iter().any(|(unit, is_dying)| *unit != self.unit && !*is_dying),
            (None, Some(peer)) => !peer.units.is_empty(),
            (None, None) => false,
        }
    }

    /// True when this unit is the one that goes.
    pub fn is_departing(&self) -> bool {
        self.departing.as_ref() == Some(&self.unit)
    }
}
