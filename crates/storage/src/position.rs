//! Where something stands in the raft log.

use std::fmt;

/// A place in the log: the term it was proposed in and its index. Ordered by term, then index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The leader's term.
    pub term: u64,
    /// The entry's index; the first entry of a cluster may have index 0.
    pub index: u64,
}

/// Encoded size: term, then index, 8 bytes little endian each.
pub(crate) const POSITION_BYTES: usize = 16;

const _: () = assert!(POSITION_BYTES == 2 * size_of::<u64>());

impl LogPosition {
    /// The entry `index` of `term`.
    pub const fn new(term: u64, index: u64) -> Self {
        Self { term, index }
    }

    pub(crate) fn to_bytes(self) -> [u8; POSITION_BYTES] {
        let mut bytes = [0; POSITION_BYTES];
        bytes[..8].copy_from_slice(&self.term.to_le_bytes());
        bytes[8..].copy_from_slice(&self.index.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; POSITION_BYTES]) -> Self {
        let (term, index) = bytes.split_at(8);
        Self {
            term: u64::from_le_bytes(term.try_into().expect("eight bytes")),
            index: u64::from_le_bytes(index.try_into().expect("eight bytes")),
        }
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.term, self.index)
    }
}
