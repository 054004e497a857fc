//! The members as the applied log says, and those that once were.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};

use crate::codec::{DecodeError, Wire};
use crate::types::StoredMembership;

/// What is stored beside the applied position and travels in a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClusterMembership {
    /// The newest membership applied.
    pub(crate) stored: StoredMembership,
    /// Members that were removed; their ids are never used again and their requests refused.
    pub(crate) removed: BTreeSet<u64>,
}

impl ClusterMembership {
    /// Takes over a newer membership; whoever is no longer in it has been removed.
    pub(crate) fn advance(&mut self, stored: StoredMembership) {
        let gone: Vec<u64> = self
            .stored
            .nodes()
            .map(|(id, _)| *id)
            .filter(|id| stored.get_node(id).is_none())
            .collect();
        self.removed.extend(gone);
        self.stored = stored;
    }
}

impl Wire for ClusterMembership {
    fn put(&self, buffer: &mut BytesMut) {
        self.stored.put(buffer);
        self.removed.iter().copied().collect::<Vec<u64>>().put(buffer);
    }

    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            stored: StoredMembership::parse(bytes)?,
            removed: Vec::parse(bytes)?.into_iter().collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::codec::log_id;
    use crate::types::{Membership, Peer};

    fn stored(index: u64, ids: &[u64]) -> StoredMembership {
        let nodes: BTreeMap<u64, Peer> = ids.iter().map(|id| (*id, Peer::default())).collect();
        let voters = vec![ids.iter().copied().collect()];
        StoredMembership::new(
            Some(log_id(1, index)),
            Membership::new(voters, nodes).expect("every voter has a node"),
        )
    }

    #[test]
    fn a_removed_member_stays_known_as_removed() {
        let mut membership = ClusterMembership::default();
        membership.advance(stored(1, &[1, 2, 3]));
        membership.advance(stored(2, &[1, 3]));
        membership.advance(stored(3, &[1, 3, 4]));
        assert_eq!(membership.removed, BTreeSet::from([2]));
        let mut bytes = membership.to_bytes();
        assert_eq!(ClusterMembership::parse(&mut bytes), Ok(membership));
    }
}
