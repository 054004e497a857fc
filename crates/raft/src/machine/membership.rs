//! The members as the applied log says, those that once were, and what is being done with them.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use store::MemberId;

use crate::codec::{DecodeError, Wire};
use crate::controller::{OpenOperation, Record, RemovalReason, Tombstone};
use crate::types::StoredMembership;

/// What is stored beside the applied position and travels in a snapshot.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClusterMembership {
    /// The newest membership applied.
    pub(crate) stored: StoredMembership,
    /// What the leader has begun and not finished.
    pub(crate) operation: Option<OpenOperation>,
    /// Members that were removed; their ids are never used again and their requests refused. Kept
    /// for ever: a few dozen bytes for each.
    pub(crate) tombstones: BTreeMap<u64, Tombstone>,
}

impl ClusterMembership {
    /// Takes over a newer membership; whoever is no longer in it has been removed.
    pub(crate) fn advance(
        &mut self,
        stored: StoredMembership,
        name_of: impl Fn(MemberId) -> Option<String>,
    ) {
        let gone =
            self.stored.nodes().map(|(id, _)| *id).filter(|id| stored.get_node(id).is_none());
        for id in gone {
            let open = self.operation.as_ref();
            let named = || open.filter(|open| open.member == id).map(|open| open.name.clone());
            let tombstone = Tombstone {
                id: MemberId(id),
                name: name_of(MemberId(id)).or_else(named).unwrap_or_default(),
                reason: open.map_or(RemovalReason::Operator, |open| open.reason_for(id)),
            };
            self.tombstones.insert(id, tombstone);
        }
        self.stored = stored;
    }

    /// Changes the open operation; false when the record is based on another one than is open.
    pub(crate) fn record(&mut self, record: Record) -> bool {
        let is_expected = self.operation.as_ref().map(|open| open.id) == record.expected;
        if is_expected {
            self.operation = record.next;
        }
        is_expected
    }

    /// Whether the member once was one and is no more.
    pub(crate) fn is_buried(&self, member: u64) -> bool {
        self.tombstones.contains_key(&member)
    }
}

impl Wire for ClusterMembership {
    fn put(&self, buffer: &mut BytesMut) {
        self.stored.put(buffer);
        self.operation.put(buffer);
        self.tombstones.values().cloned().collect::<Vec<_>>().put(buffer);
    }

    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let (stored, operation) = (StoredMembership::parse(bytes)?, Option::parse(bytes)?);
        let tombstones = Vec::<Tombstone>::parse(bytes)?.into_iter();
        let tombstones = tombstones.map(|tombstone| (tombstone.id.0, tombstone)).collect();
        Ok(Self { stored, operation, tombstones })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::log_id;
    use crate::controller::{OperationKind, sample_operation};
    use crate::types::{Membership, Peer};

    fn stored(index: u64, ids: &[u64]) -> StoredMembership {
        let nodes: BTreeMap<u64, Peer> = ids.iter().map(|id| (*id, Peer::default())).collect();
        let voters = vec![ids.iter().copied().collect()];
        StoredMembership::new(
            Some(log_id(1, index)),
            Membership::new(voters, nodes).expect("every voter has a node"),
        )
    }

    fn nobody(_: MemberId) -> Option<String> {
        None
    }

    #[test]
    fn a_removed_member_stays_known_as_removed() {
        let mut membership = ClusterMembership::default();
        membership.advance(stored(1, &[1, 2, 3]), nobody);
        membership.advance(stored(2, &[1, 3]), |id| Some(format!("m{}", id.0)));
        membership.advance(stored(3, &[1, 3, 4]), nobody);
        assert!(membership.is_buried(2) && !membership.is_buried(3));
        assert_eq!(membership.tombstones[&2].name, "m2");
        assert_eq!(membership.tombstones[&2].reason, RemovalReason::Operator);
        let mut bytes = membership.to_bytes();
        assert_eq!(ClusterMembership::parse(&mut bytes), Ok(membership));
    }

    #[test]
    fn the_open_operation_says_why_a_member_went_and_travels_along() {
        let mut membership = ClusterMembership::default();
        membership.advance(stored(1, &[1, 9]), nobody);
        let leave = sample_operation(OperationKind::Leave);
        assert!(membership.record(Record { expected: None, next: Some(leave.clone()) }));
        membership.advance(stored(2, &[1]), nobody);
        assert_eq!(membership.tombstones[&9].reason, RemovalReason::ScaleIn);
        assert_eq!(membership.tombstones[&9].name, "nine", "the operation knows its name");
        let mut bytes = membership.to_bytes();
        assert_eq!(ClusterMembership::parse(&mut bytes), Ok(membership));
    }

    #[test]
    fn a_record_based_on_another_operation_than_the_open_one_is_void() {
        let mut membership = ClusterMembership::default();
        let open = sample_operation(OperationKind::Join);
        assert!(membership.record(Record { expected: None, next: Some(open.clone()) }));
        assert!(!membership.record(Record { expected: None, next: Some(open.clone()) }));
        assert!(!membership.record(Record { expected: Some(open.id + 1), next: None }));
        assert_eq!(membership.operation, Some(open.clone()));
        assert!(membership.record(Record { expected: Some(open.id), next: None }));
        assert_eq!(membership.operation, None);
    }
}
