//! Every flag there is, as data: the command line, the environment, the file, the help text and
//! docs/flags.md are all made from these tables, so they cannot disagree.

mod clustering;
mod features;
mod member;
mod observing;
mod older;
mod quorate;
mod security;

/// What a flag's value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// `true` or `false`; `--flag` alone means `true`.
    Bool,
    /// A whole number within these bounds, both included.
    Integer {
        /// Smallest accepted value.
        min: i64,
        /// Largest accepted value.
        max: i64,
    },
    /// A whole number of milliseconds within these bounds, both included.
    Milliseconds {
        /// Smallest accepted value.
        min: i64,
        /// Largest accepted value.
        max: i64,
    },
    /// Go's notation (`100ms`, `1h30m`); in a file, whole nanoseconds.
    Duration,
    /// URLs with scheme and port, separated by commas.
    Urls,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Words separated by commas.
    List,
}

impl Kind {
    /// How help and documentation name the kind.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Bool => "bool",
            Self::Integer { .. } => "integer",
            Self::Milliseconds { .. } => "milliseconds",
            Self::Duration => "duration",
            Self::Urls => "urls",
            Self::Choice(_) => "choice",
            Self::List => "list",
        }
    }
}

/// A whole number that is not negative and has no other bound.
pub(crate) const COUNT: Kind = Kind::Integer { min: 0, max: i64::MAX };

/// What happens when a flag is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Works,
    /// The default is accepted; anything else stops the start and names this reason.
    Later(&'static str),
    /// The default is accepted; anything else stops the start, and no release will change that.
    Refused(&'static str),
    /// Accepted, without effect; a warning gives this reason.
    Ignored(&'static str),
    /// Another name of the flag named here, with a warning.
    AliasOf(&'static str),
}

/// Where help and documentation put a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// This process.
    Member,
    /// How members find each other.
    Clustering,
    /// Certificates and origins.
    Security,
    /// Tokens and passwords.
    Auth,
    /// Metrics and profiles.
    Monitoring,
    /// Log lines.
    Logging,
    /// Traces.
    Tracing,
    /// Tuning.
    Features,
    /// Ways to lose data.
    Unsafe,
    /// The command line itself.
    General,
    /// What etcd does not have.
    Quorate,
    /// What only earlier lines of etcd had.
    Older,
}

impl Group {
    /// All groups, in the order of the help text.
    pub const ALL: [Self; 12] = [
        Self::Member,
        Self::Clustering,
        Self::Quorate,
        Self::Monitoring,
        Self::Logging,
        Self::Features,
        Self::Security,
        Self::Auth,
        Self::Tracing,
        Self::Unsafe,
        Self::General,
        Self::Older,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::Member => "Member",
            Self::Clustering => "Clustering",
            Self::Security => "Security",
            Self::Auth => "Auth",
            Self::Monitoring => "Monitoring",
            Self::Logging => "Logging",
            Self::Tracing => "Tracing",
            Self::Features => "Features",
            Self::Unsafe => "Unsafe",
            Self::General => "General",
            Self::Quorate => "Quorate's own",
            Self::Older => "Names from older lines of etcd",
        }
    }
}

/// One flag.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// Without dashes.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// In the flag's own notation; empty when there is none.
    pub default: &'static str,
    /// Where help puts it.
    pub group: Group,
    /// What happens when it is given.
    pub status: Status,
    /// One sentence or two.
    pub help: &'static str,
}

impl Flag {
    /// The environment variable of the same meaning: etcd's prefix, upper case, underscores.
    pub fn variable(&self) -> String {
        format!("ETCD_{}", self.name.to_uppercase().replace('-', "_"))
    }
}

/// Every flag but `--help` and `--version`, group by group.
pub fn all() -> impl Iterator<Item = &'static Flag> {
    [
        member::FLAGS,
        clustering::FLAGS,
        quorate::FLAGS,
        observing::FLAGS,
        features::FLAGS,
        security::FLAGS,
        older::FLAGS,
    ]
    .into_iter()
    .flatten()
}

/// The flag of that name.
pub fn find(name: &str) -> Option<&'static Flag> {
    all().find(|flag| flag.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::config::value::Value;

    #[test]
    fn every_name_is_there_once() {
        let mut seen = HashSet::new();
        for flag in all() {
            assert!(seen.insert(flag.name), "--{} is defined twice", flag.name);
        }
        assert!(seen.len() >= 136, "etcd 3.6 alone has 136 flags, the tables {}", seen.len());
    }

    #[test]
    fn every_default_is_a_value_of_its_kind() {
        for flag in all().filter(|flag| !flag.default.is_empty()) {
            let parsed = Value::parse(flag.kind, flag.default);
            assert!(parsed.is_ok(), "--{}: {parsed:?}", flag.name);
        }
    }

    #[test]
    fn every_alias_names_a_flag_of_its_kind_that_is_no_alias() {
        for flag in all() {
            if let Status::AliasOf(name) = flag.status {
                let target = find(name).unwrap_or_else(|| panic!("--{}: no --{name}", flag.name));
                assert!(!matches!(target.status, Status::AliasOf(_)), "--{}", flag.name);
                assert_eq!(target.kind, flag.kind, "--{}", flag.name);
            }
        }
    }

    #[test]
    fn every_flag_explains_itself_in_a_sentence() {
        for flag in all() {
            assert!(flag.help.ends_with('.') && flag.help.len() > 15, "--{}", flag.name);
        }
    }

    #[test]
    fn every_group_has_flags_and_a_place_in_the_help() {
        for group in Group::ALL {
            let general = group == Group::General;
            assert!(general || all().any(|flag| flag.group == group), "{group:?}");
        }
    }
}
