//! Which hook or action this is, by its exact name.

use std::fmt;
use std::str::FromStr;

use crate::names::{ParseError, is_endpoint};

/// A hook, or an action.
///
/// Parsed from the whole name and never from a part of it: a path that contains `config-changed` is
/// not that hook, and an endpoint may have hyphens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hook {
    /// `install`: once, before anything else but storage.
    Install,
    /// `config-changed`: after install, after every change, after a reboot, and when the machine's
    /// address changed.
    ConfigChanged,
    /// `start`.
    Start,
    /// `stop`: the unit is going; storage is detached already.
    Stop,
    /// `remove`: the last one.
    Remove,
    /// `update-status`: every few minutes when there is nothing else to do.
    UpdateStatus,
    /// `upgrade-charm`: the charm directory holds another revision now.
    UpgradeCharm,
    /// `leader-elected`: this unit became Juju leader.
    LeaderElected,
    /// `leader-settings-changed`: Juju up to 3.x.
    LeaderSettingsChanged,
    /// `<endpoint>-relation-<event>`.
    Relation {
        /// Endpoint of this charm.
        endpoint: String,
        /// What happened.
        event: RelationEvent,
    },
    /// `<name>-storage-<event>`.
    Storage {
        /// Name of the storage in the charm's metadata.
        name: String,
        /// What happened.
        event: StorageEvent,
    },
    /// `secret-<event>`.
    Secret(SecretEvent),
    /// An action, by name.
    Action(String),
}

/// What happened to a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RelationEvent {
    /// The relation exists; no remote unit has been seen.
    Created,
    /// A remote unit came.
    Joined,
    /// Data of a remote unit or application changed.
    Changed,
    /// A remote unit went.
    Departed,
    /// The relation ends. Never run for a peer relation.
    Broken,
}

/// What happened to a storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StorageEvent {
    /// It can be used from now on.
    Attached,
    /// It goes once the hook has succeeded.
    Detaching,
}

/// What happened to a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SecretEvent {
    /// There is a new revision (told to consumers).
    Changed,
    /// It is time for a new value (told to the owner).
    Rotate,
    /// A revision has expired (told to the owner).
    Expired,
    /// A revision has no consumers any more (told to the owner).
    Remove,
}

/// Hooks that have one name.
const PLAIN: [(&str, Hook); 13] = [
    ("install", Hook::Install),
    ("config-changed", Hook::ConfigChanged),
    ("start", Hook::Start),
    ("stop", Hook::Stop),
    ("remove", Hook::Remove),
    ("update-status", Hook::UpdateStatus),
    ("upgrade-charm", Hook::UpgradeCharm),
    ("leader-elected", Hook::LeaderElected),
    ("leader-settings-changed", Hook::LeaderSettingsChanged),
    ("secret-changed", Hook::Secret(SecretEvent::Changed)),
    ("secret-rotate", Hook::Secret(SecretEvent::Rotate)),
    ("secret-expired", Hook::Secret(SecretEvent::Expired)),
    ("secret-remove", Hook::Secret(SecretEvent::Remove)),
];

/// Endings of relation hooks.
const RELATION: [(&str, RelationEvent); 5] = [
    ("-relation-created", RelationEvent::Created),
    ("-relation-joined", RelationEvent::Joined),
    ("-relation-changed", RelationEvent::Changed),
    ("-relation-departed", RelationEvent::Departed),
    ("-relation-broken", RelationEvent::Broken),
];

/// Endings of storage hooks.
const STORAGE: [(&str, StorageEvent); 2] = [
    ("-storage-attached", StorageEvent::Attached),
    ("-storage-detaching", StorageEvent::Detaching),
];

impl Hook {
    /// The hook `<endpoint>-relation-<event>`.
    pub fn relation(endpoint: &str, event: RelationEvent) -> Self {
        Self::Relation { endpoint: endpoint.to_owned(), event }
    }

    /// The hook `<name>-storage-<event>`.
    pub fn storage(name: &str, event: StorageEvent) -> Self {
        Self::Storage { name: name.to_owned(), event }
    }

    /// Reads what Juju puts into `JUJU_DISPATCH_PATH`: `hooks/<hook>` or `actions/<action>`.
    ///
    /// # Errors
    ///
    /// When it is neither, has further directories, or names no hook that Juju has.
    pub fn from_dispatch_path(path: &str) -> Result<Self, ParseError> {
        match path.split_once('/') {
            Some(("hooks", name)) => name.parse(),
            Some(("actions", name)) if is_action(name) => Ok(Self::Action(name.to_owned())),
            _ => Err(ParseError::new("`hooks/<hook>` or `actions/<action>`", path)),
        }
    }

    /// True for an action.
    pub fn is_action(&self) -> bool {
        matches!(self, Self::Action(_))
    }
}

impl FromStr for Hook {
    type Err = ParseError;

    /// Reads the name of a hook; never yields an action, whose names may look like anything.
    fn from_str(name: &str) -> Result<Self, ParseError> {
        let plain = PLAIN.into_iter().find(|(plain, _)| *plain == name).map(|(_, hook)| hook);
        let relation = || {
            let (endpoint, event) = with_ending(name, &RELATION)?;
            Some(Self::relation(endpoint, event))
        };
        let storage = || {
            let (storage, event) = with_ending(name, &STORAGE)?;
            Some(Self::storage(storage, event))
        };
        plain
            .or_else(relation)
            .or_else(storage)
            .ok_or_else(|| ParseError::new("the name of a hook, such as `config-changed`", name))
    }
}

impl fmt::Display for Hook {
    /// The name of the hook's file; of an action its name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relation { endpoint, event } => {
                write!(f, "{endpoint}{}", ending(&RELATION, event))
            }
            Self::Storage { name, event } => write!(f, "{name}{}", ending(&STORAGE, event)),
            Self::Action(name) => f.write_str(name),
            plain => {
                let name = PLAIN.iter().find(|(_, hook)| hook == plain).map(|(name, _)| *name);
                f.write_str(name.expect("every other hook is in the table"))
            }
        }
    }
}

fn with_ending<'a, E: Copy>(name: &'a str, endings: &[(&str, E)]) -> Option<(&'a str, E)> {
    endings
        .iter()
        .find_map(|(ending, event)| Some((name.strip_suffix(ending)?, *event)))
        .filter(|(owner, _)| is_endpoint(owner))
}

fn ending<E: PartialEq>(endings: &[(&'static str, E)], event: &E) -> &'static str {
    let ending = endings.iter().find(|(_, other)| other == event).map(|(ending, _)| *ending);
    ending.expect("every event is in the table")
}

fn is_action(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_prints_the_name_it_was_read_from() {
        let relations = RELATION.map(|(ending, _)| format!("cluster{ending}"));
        let storages = STORAGE.map(|(ending, _)| format!("data{ending}"));
        let plain = PLAIN.map(|(name, _)| name.to_owned());
        for name in relations.into_iter().chain(storages).chain(plain) {
            assert_eq!(name.parse::<Hook>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn a_name_that_contains_a_hook_is_not_that_hook() {
        for name in [
            "/var/lib/juju/config-changed/install-x",
            "my-config-changed",
            "config-changed-again",
            "hooks/config-changed",
            "config-changed ",
            "",
            "installed",
            "-relation-changed",
            "relation-changed",
            "Cluster-relation-changed",
            "a/b-relation-changed",
            "cluster-relation-changed.bak",
        ] {
            assert!(name.parse::<Hook>().is_err(), "{name:?}");
        }
    }

    #[test]
    fn endpoints_may_have_hyphens_and_look_like_hooks() {
        for (name, endpoint, event) in [
            ("cos-agent-relation-joined", "cos-agent", RelationEvent::Joined),
            ("config-changed-relation-broken", "config-changed", RelationEvent::Broken),
            ("db-relation-created-relation-changed", "db-relation-created", RelationEvent::Changed),
            (
                "data-storage-attached-relation-departed",
                "data-storage-attached",
                RelationEvent::Departed,
            ),
            ("a_b-relation-created", "a_b", RelationEvent::Created),
        ] {
            assert_eq!(name.parse(), Ok(Hook::relation(endpoint, event)));
        }
        let storage = Hook::storage("my-data", StorageEvent::Detaching);
        assert_eq!("my-data-storage-detaching".parse(), Ok(storage));
    }

    #[test]
    fn a_dispatch_path_tells_hooks_from_actions() {
        assert_eq!(Hook::from_dispatch_path("hooks/install"), Ok(Hook::Install));
        let action = Hook::Action("config-changed".to_owned());
        assert!(action.is_action());
        assert_eq!(Hook::from_dispatch_path("actions/config-changed"), Ok(action));
        for path in [
            "install",
            "actions/",
            "actions/a/b",
            "hooks/x/install",
            "/hooks/install",
            "dispatch",
            "",
        ] {
            assert!(Hook::from_dispatch_path(path).is_err(), "{path:?}");
        }
    }
}
