//! The leases that exist and the keys attached to them. Deadlines are the leader's business
//! ([`crate::Lessor`]): they depend on a clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::LeaseId;

/// A lease as every member knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseInfo {
    /// Granted time to live, seconds.
    pub ttl_s: i64,
    /// Attached keys in order.
    pub keys: Vec<Vec<u8>>,
}

/// All leases.
#[derive(Default)]
pub(crate) struct Leases {
    leases: BTreeMap<LeaseId, Lease>,
}

struct Lease {
    ttl_s: i64,
    keys: BTreeSet<Box<[u8]>>,
}

impl Leases {
    pub fn contains(&self, id: LeaseId) -> bool {
        self.leases.contains_key(&id)
    }

    /// Makes a lease, or changes the time to live of one.
    pub fn grant(&mut self, id: LeaseId, ttl_s: i64) {
        let lease = self.leases.entry(id).or_insert(Lease { ttl_s, keys: BTreeSet::new() });
        lease.ttl_s = ttl_s;
    }

    /// Forgets a lease and returns its keys in order.
    pub fn revoke(&mut self, id: LeaseId) -> Option<BTreeSet<Box<[u8]>>> {
        self.leases.remove(&id).map(|lease| lease.keys)
    }

    /// A key that belonged to `from` now belongs to `to`; either may be [`LeaseId::NONE`] or, after
    /// a revocation, unknown.
    pub fn move_key(&mut self, key: &[u8], from: LeaseId, to: LeaseId) {
        if from == to {
            return;
        }
        if from != LeaseId::NONE
            && let Some(lease) = self.leases.get_mut(&from)
        {
            lease.keys.remove(key);
        }
        if to != LeaseId::NONE
            && let Some(lease) = self.leases.get_mut(&to)
        {
            lease.keys.insert(key.into());
        }
    }

    pub fn info(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.leases.get(&id).map(|lease| LeaseInfo {
            ttl_s: lease.ttl_s,
            keys: lease.keys.iter().map(|key| key.to_vec()).collect(),
        })
    }

    /// Every lease with its time to live in seconds, in order of id.
    pub fn all(&self) -> Vec<(LeaseId, i64)> {
        self.leases.iter().map(|(id, lease)| (*id, lease.ttl_s)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_belongs_to_one_lease_at_a_time() {
        let mut leases = Leases::default();
        leases.grant(LeaseId(1), 10);
        leases.grant(LeaseId(2), 20);
        leases.move_key(b"k", LeaseId::NONE, LeaseId(1));
        leases.move_key(b"k", LeaseId(1), LeaseId(2));
        assert_eq!(leases.info(LeaseId(1)), Some(LeaseInfo { ttl_s: 10, keys: vec![] }));
        assert_eq!(leases.info(LeaseId(2)).expect("granted").keys, [b"k"]);
        leases.move_key(b"k", LeaseId(2), LeaseId::NONE);
        assert_eq!(leases.revoke(LeaseId(2)), Some(BTreeSet::new()));
        assert_eq!(leases.all(), [(LeaseId(1), 10)]);
    }
}
