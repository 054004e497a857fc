//! Turns: one member at a time does what the others must not do meanwhile, such as a restart.
//!
//! A turn is the key `\0quorate/turn/<name>` with the holder's member name as its value, bound to a
//! lease. So it is agreed on like any other key, every member sees the same holder, and a holder
//! that is gone loses it when the lease ends, without anybody having to notice.

mod held;
mod release;
mod take;

use api::Error;
pub use release::release;
pub use take::take;

/// Longest name of a turn, in bytes.
pub const NAME_BYTES_MAX: usize = 64;

/// Longest life of a turn, in seconds: a holder that is gone holds up the others no longer.
pub const TTL_S_MAX: i64 = 3600;

/// Keys of turns start with this; the first byte keeps them before every key people choose.
const KEY_PREFIX: &str = "\0quorate/turn/";

/// Why a turn was not taken or given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnError {
    /// Another member has it.
    Taken {
        /// Its member name.
        holder: String,
    },
    /// The cluster did not answer or refused.
    Store(Error),
}

impl From<Error> for TurnError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

/// Whether a text names a turn: 1 to [`NAME_BYTES_MAX`] lower-case letters, digits and dashes.
pub fn is_name(name: &str) -> bool {
    let is_fitting = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.bytes().all(is_fitting)
}

/// The key that stands for a turn.
fn key(name: &str) -> bytes::Bytes {
    format!("{KEY_PREFIX}{name}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for name in ["restart", "a", "a-1", &"x".repeat(NAME_BYTES_MAX)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "Restart", "a/b", "a b", "\0", "é", &"x".repeat(NAME_BYTES_MAX + 1)] {
            assert!(!is_name(name), "{name}");
        }
    }
}
