//! Why a member does not start, in one line.

use thiserror::Error;

/// A mistake in what the member was told.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// No such flag.
    #[error("flag provided but not defined: {flag}{hint}; quorate --help lists the flags")]
    UnknownFlag {
        /// As it was given.
        flag: String,
        /// A similar flag, as `; did you mean --name?`, or nothing.
        hint: String,
    },
    /// The last argument is a flag that needs a value.
    #[error("flag needs an argument: --{0}")]
    MissingValue(String),
    /// Something that is neither a flag nor the value of one.
    #[error("{word:?} is not a flag{hint}; quorate --help lists the flags")]
    Positional {
        /// As it was given.
        word: String,
        /// What was probably meant, as `; join it ...`, or nothing.
        hint: &'static str,
    },
    /// The command line has bad shape in a way the other variants do not name.
    #[error("{0}")]
    Usage(String),
    /// The value is not what the setting takes.
    #[error("invalid value {value:?} for {place}: {expected}")]
    Value {
        /// Flag, variable or key, in words.
        place: String,
        /// As it was given.
        value: String,
        /// What it should be.
        expected: String,
        /// Whether it stood on the command line.
        on_line: bool,
    },
    /// The same setting twice.
    #[error(
        "environment variable {variable} conflicts with flag --{flag}: unset one of them (a \
         variable never overrides a flag, and is not silently ignored)"
    )]
    Conflict {
        /// On the command line.
        flag: String,
        /// In the environment.
        variable: String,
    },
    /// An old name and the new one, with different values.
    #[error("{old} and {new} are two names of one setting and have different values; keep {new}")]
    AliasConflict {
        /// The earlier name's place.
        old: String,
        /// The current name's place.
        new: String,
    },
    /// The configuration file cannot be used.
    #[error("config file {path}: {reason}")]
    File {
        /// As it was named.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// Not in this release, or never.
    #[error("{place}: {reason}")]
    Unavailable {
        /// Flag, variable or key, in words.
        place: String,
        /// The table's reason.
        reason: String,
    },
    /// Several settings do not fit together.
    #[error("{0}")]
    Rule(String),
}

impl ConfigError {
    /// etcd's exit codes: 2 for a command line that does not parse, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::UnknownFlag { .. } | Self::MissingValue(_) | Self::Usage(_) => 2,
            Self::Value { on_line, .. } => 1 + u8::from(*on_line),
            _ => 1,
        }
    }
}
