//! The Juju a model plays: which tools and hooks exist.

/// Version of the Juju that is played. Three are known well: [`Version::V2_9`], [`Version::V3_6`]
/// and [`Version::V4_0`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// First number.
    pub major: u32,
    /// Second number.
    pub minor: u32,
    /// Third number.
    pub patch: u32,
}

const SINCE_1: Version = Version::new(1, 0, 0);
const LEADERSHIP_SINCE: Version = Version::new(1, 23, 2);
const SECRETS_SINCE: Version = Version::new(3, 0, 0);

/// Tool, first version with it, first version without it (juju-surface 1.9, 3.2, 3.3).
const TOOLS: &[(&str, Version, Option<Version>)] = &[
    ("action-fail", SINCE_1, None),
    ("action-get", SINCE_1, None),
    ("action-log", Version::new(2, 5, 0), None),
    ("action-set", SINCE_1, None),
    ("application-version-set", Version::new(2, 0, 0), None),
    ("close-port", SINCE_1, None),
    ("config-get", SINCE_1, None),
    ("credential-get", Version::new(2, 5, 0), None),
    ("goal-state", Version::new(2, 5, 0), None),
    ("is-leader", LEADERSHIP_SINCE, None),
    ("juju-log", SINCE_1, None),
    ("juju-reboot", SINCE_1, None),
    ("leader-get", LEADERSHIP_SINCE, Some(Version::new(4, 0, 0))),
    ("leader-set", LEADERSHIP_SINCE, Some(Version::new(4, 0, 0))),
    ("network-get", Version::new(2, 0, 0), None),
    ("open-port", SINCE_1, None),
    ("opened-ports", SINCE_1, None),
    ("relation-get", SINCE_1, None),
    ("relation-ids", SINCE_1, None),
    ("relation-list", SINCE_1, None),
    ("relation-model-get", Version::new(3, 6, 2), None),
    ("relation-set", SINCE_1, None),
    ("resource-get", Version::new(2, 0, 0), None),
    ("secret-add", SECRETS_SINCE, None),
    ("secret-get", SECRETS_SINCE, None),
    ("secret-grant", SECRETS_SINCE, None),
    ("secret-ids", SECRETS_SINCE, None),
    ("secret-info-get", SECRETS_SINCE, None),
    ("secret-remove", SECRETS_SINCE, None),
    ("secret-revoke", SECRETS_SINCE, None),
    ("secret-set", SECRETS_SINCE, None),
    ("state-delete", Version::new(2, 8, 0), None),
    ("state-get", Version::new(2, 8, 0), None),
    ("state-set", Version::new(2, 8, 0), None),
    ("status-get", SINCE_1, None),
    ("status-set", SINCE_1, None),
    ("storage-add", SINCE_1, None),
    ("storage-get", SINCE_1, None),
    ("storage-list", SINCE_1, None),
    ("unit-get", SINCE_1, None),
];

impl Version {
    /// The long-term line before 3.
    pub const V2_9: Self = Self::new(2, 9, 51);
    /// The long-term line of 3.
    pub const V3_6: Self = Self::new(3, 6, 11);
    /// The current line.
    pub const V4_0: Self = Self::new(4, 0, 15);
    /// A Juju without leader election.
    pub const V1_18: Self = Self::new(1, 18, 4);

    /// A version by its numbers.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// Names of the hook tools of this version, sorted.
    pub fn tools(self) -> Vec<&'static str> {
        TOOLS
            .iter()
            .filter(|(_, since, until)| {
                let (since, until) = (since.key(), until.map(Self::key));
                self.key() >= since && until.is_none_or(|until| self.key() < until)
            })
            .map(|(name, _, _)| *name)
            .collect()
    }

    const fn key(self) -> (u32, u32, u32) {
        (self.major, self.minor, self.patch)
    }

    /// Whether a unit that is not the leader hears of it (`leader-settings-changed`).
    pub(crate) fn tells_minions(self) -> bool {
        self.major < 4 && self >= LEADERSHIP_SINCE
    }

    /// Whether there is a leader at all.
    pub(crate) fn has_leaders(self) -> bool {
        self >= LEADERSHIP_SINCE
    }

    /// Whether an action takes parameters its schema does not name, when it does not say.
    pub(crate) fn takes_unknown_params(self) -> bool {
        self.major < 4
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}
