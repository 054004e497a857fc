//! Random steps over a small key space, so that they meet: the same seed gives the same steps as
//! long as the reference answers the same.

use bytes::Bytes;
use quorate_tests::pb;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::leases::CHOSEN;
use crate::step::Step;

/// Watch streams of a run.
const STREAMS: usize = 3;
/// How deep transactions nest.
const DEPTH_MAX: u32 = 2;
/// The flag the servers are started with; low, so that sequences reach it.
pub const TXN_OPS_MAX: usize = 7;

/// The first ones are as different as the others.
const KEYS: &[&[u8]] =
    &[b"a", b"a\0", b"b", b"ba", b"\xff", b"aa", b"ab", b"c", b"d", b"\x01", b"\xff\xff"];
const ENDS: &[&[u8]] =
    &[b"\0", b"\0", b"a", b"ac", b"b", b"b\0", b"c", b"e", b"\xff", b"\xff\xff\xff"];
const VALUES: &[&[u8]] = &[b"", b"0", b"1", b"2", b"10", b"\xff", b"longer value"];
/// Ids that sequences ask for; 0 lets the server choose.
const LEASES: &[i64] = &[1, 2, 3, 4, -7];

/// Where the reference is: what random revisions are drawn around.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    pub revision: i64,
    pub compacted: i64,
    /// Leases whose id the server chose.
    pub leases_chosen: i64,
}

/// A source of steps.
pub struct Generator {
    random: StdRng,
    keys: &'static [&'static [u8]],
    /// Leases differ in time to live by more than a run takes, so that their order is certain.
    ttl_s: i64,
}

impl Generator {
    /// Steps that never put more than `keys_max` keys, the mark among them.
    pub fn new(seed: u64, keys_max: usize) -> Self {
        let keys = &KEYS[..KEYS.len().min(keys_max - 1)];
        Self { random: StdRng::seed_from_u64(seed), keys, ttl_s: 1_000 }
    }

    /// The next step.
    pub fn step(&mut self, now: &Now) -> Step {
        match self.random.random_range(0..1000) {
            0..220 => Step::Put(self.put(now, true)),
            220..460 => Step::Range(self.range(now)),
            460..550 => Step::DeleteRange(self.delete_range()),
            550..800 => Step::Txn(self.txn(now, 0)),
            800..825 => Step::Compact(self.compact(now)),
            825..860 => Step::Grant(self.grant()),
            860..870 => Step::GrantAndRevoke(self.short_grant()),
            870..885 => Step::Revoke(self.lease(now)),
            885..895 => Step::KeepAlive(self.lease(now)),
            895..925 => {
                let (id, keys) = (self.lease(now), self.chance(70));
                Step::TimeToLive(pb::LeaseTimeToLiveRequest { id, keys })
            }
            925..935 => Step::Leases,
            935..985 => Step::Watch(self.random.random_range(0..STREAMS), self.watch(now)),
            _ => {
                let stream = self.random.random_range(0..STREAMS);
                Step::CancelWatch(stream, self.random.random_range(0..10))
            }
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.random.random_range(0..100) < percent
    }

    fn any(&mut self, of: &[&'static [u8]]) -> Bytes {
        Bytes::from_static(of[self.random.random_range(0..of.len())])
    }

    /// Now and then none at all.
    fn key(&mut self) -> Bytes {
        if self.random.random_range(0..150) == 0 { Bytes::new() } else { self.any(self.keys) }
    }

    /// The start of a range may be the lowest key of all.
    fn span(&mut self) -> (Bytes, Bytes) {
        match self.random.random_range(0..10) {
            0..3 => (self.key(), Bytes::new()),
            3..5 => (Bytes::from_static(b"\0"), self.any(ENDS)),
            _ => (self.key(), self.any(ENDS)),
        }
    }

    fn lease(&mut self, now: &Now) -> i64 {
        if now.leases_chosen > 0 && self.chance(40) {
            return CHOSEN + self.random.random_range(0..now.leases_chosen);
        }
        LEASES[self.random.random_range(0..LEASES.len())]
    }

    fn put(&mut self, now: &Now, may_keep: bool) -> pb::PutRequest {
        let put = pb::PutRequest {
            key: self.key(),
            value: self.any(VALUES),
            lease: if self.chance(25) { self.lease(now) } else { 0 },
            prev_kv: self.chance(40),
            ..Default::default()
        };
        let (value, lease) = (self.chance(15), self.chance(15));
        keeping(put, may_keep && value, may_keep && lease, self.chance(90))
    }

    fn range(&mut self, now: &Now) -> pb::RangeRequest {
        let (key, range_end) = self.span();
        pb::RangeRequest {
            key,
            range_end,
            limit: if self.chance(40) { self.random.random_range(-1..5) } else { 0 },
            revision: if self.chance(40) { self.revision(now) } else { 0 },
            sort_order: self.random.random_range(0..3),
            sort_target: if self.chance(50) { self.random.random_range(0..5) } else { 0 },
            serializable: self.chance(20),
            keys_only: self.chance(15),
            count_only: self.chance(10),
            min_mod_revision: self.bound(now),
            max_mod_revision: self.bound(now),
            min_create_revision: self.bound(now),
            max_create_revision: self.bound(now),
        }
    }

    fn delete_range(&mut self) -> pb::DeleteRangeRequest {
        // Half of them single, or nothing would ever be left.
        let (key, range_end) =
            if self.chance(50) { (self.key(), Bytes::new()) } else { self.span() };
        pb::DeleteRangeRequest { key, range_end, prev_kv: self.chance(50) }
    }

    fn compact(&mut self, now: &Now) -> pb::CompactionRequest {
        let revision = match self.random.random_range(0..10) {
            0 => now.revision + 1,
            1 => now.compacted,
            2 => now.revision,
            _ => self.between(now.compacted, now.revision),
        };
        pb::CompactionRequest { revision, physical: self.chance(50) }
    }

    fn grant(&mut self) -> pb::LeaseGrantRequest {
        self.ttl_s += 200;
        // In any order, but never twice the same.
        let ttl = if self.chance(50) { self.ttl_s } else { 1_000_000 - self.ttl_s };
        match self.random.random_range(0..20) {
            0 => pb::LeaseGrantRequest { ttl: 9_000_000_001, id: 0 },
            1..8 => pb::LeaseGrantRequest { ttl, id: 0 },
            _ => {
                pb::LeaseGrantRequest { ttl, id: LEASES[self.random.random_range(0..LEASES.len())] }
            }
        }
    }

    fn short_grant(&mut self) -> pb::LeaseGrantRequest {
        pb::LeaseGrantRequest { ttl: self.random.random_range(-1..3), id: 77 }
    }

    fn watch(&mut self, now: &Now) -> pb::WatchCreateRequest {
        let (key, range_end) = self.span();
        let start_revision = match self.random.random_range(0..10) {
            0..3 => 0,
            3..9 => self.between(now.compacted - 2, now.revision).max(0),
            _ => now.revision + self.random.random_range(1..10),
        };
        let filters = match self.random.random_range(0..10) {
            0 => vec![0],
            1 => vec![1],
            2 => vec![0, 1],
            _ => vec![],
        };
        pb::WatchCreateRequest {
            key,
            range_end,
            start_revision,
            progress_notify: self.chance(20),
            filters,
            prev_kv: self.chance(50),
            watch_id: if self.chance(15) { self.random.random_range(1..12) } else { 0 },
            fragment: self.chance(20),
        }
    }

    /// Mostly known, sometimes compacted, in the future, or below zero.
    fn revision(&mut self, now: &Now) -> i64 {
        match self.random.random_range(0..20) {
            0 => now.revision + self.random.random_range(1..4),
            1 => -self.random.random_range(1..4),
            2..4 => self.between(now.compacted - 3, now.compacted + 1),
            _ => self.between(now.compacted, now.revision),
        }
    }

    fn bound(&mut self, now: &Now) -> i64 {
        if self.chance(8) { self.between(now.compacted, now.revision) } else { 0 }
    }

    fn between(&mut self, from: i64, to: i64) -> i64 {
        self.random.random_range(from..=to.max(from))
    }

    fn txn(&mut self, now: &Now, depth: u32) -> pb::TxnRequest {
        // etcd up to 3.5 dies of a put that keeps the value of a key deleted earlier in the same
        // transaction, so no transaction has both.
        let may_keep = self.chance(30);
        self.txn_with(now, depth, may_keep)
    }

    fn txn_with(&mut self, now: &Now, depth: u32, may_keep: bool) -> pb::TxnRequest {
        let compares = [0, 1, 1, 2, 3][self.random.random_range(0..5)];
        let lengths = [0, 1, 1, 2, 2, 3, 4, TXN_OPS_MAX + 1];
        let ops = |own: &mut Self| {
            let mut length = lengths[own.random.random_range(0..lengths.len())];
            if length > TXN_OPS_MAX && own.chance(80) {
                length = 2;
            }
            (0..length).map(|_| own.op(now, depth, may_keep)).collect()
        };
        let (success, failure) = (ops(self), ops(self));
        let compare = (0..compares).map(|_| self.compare(now)).collect();
        pb::TxnRequest { compare, success, failure }
    }

    fn op(&mut self, now: &Now, depth: u32, may_keep: bool) -> pb::RequestOp {
        let request = match self.random.random_range(0..200) {
            0 => None,
            1..70 => Some(self.range(now).into()),
            70..130 => Some(self.put_in_txn(now, may_keep).into()),
            130..165 if !may_keep => Some(self.delete_range().into()),
            165..200 if depth < DEPTH_MAX => Some(self.txn_with(now, depth + 1, may_keep).into()),
            _ => Some(self.put_in_txn(now, may_keep).into()),
        };
        pb::RequestOp { request }
    }

    /// Never with both an unknown lease and a key that must exist: releases before 3.6 complain
    /// about the key first, later ones about the lease.
    fn put_in_txn(&mut self, now: &Now, may_keep: bool) -> pb::PutRequest {
        let put = self.put(now, may_keep);
        let lease = if put.ignore_value { 0 } else { put.lease };
        pb::PutRequest { lease, ..put }
    }

    fn compare(&mut self, now: &Now) -> pb::Compare {
        let target = self.random.random_range(0..5);
        // Now and then an operand of another kind, or none, or a target nobody knows.
        let kind = if self.chance(96) { target } else { self.random.random_range(0..6) };
        let with = match kind {
            0 => Some(pb::CompareWith::Version(self.random.random_range(0..4))),
            1 => Some(pb::CompareWith::CreateRevision(self.operand(now))),
            2 => Some(pb::CompareWith::ModRevision(self.operand(now))),
            3 => Some(pb::CompareWith::Value(self.any(VALUES).to_vec())),
            4 => Some(pb::CompareWith::Lease(self.lease(now))),
            _ => None,
        };
        let mut result = self.random.random_range(0..4);
        if target == 4 && (1..3).contains(&result) {
            // Ids the servers chose have no common order.
            result = 3;
        }
        let range_end = if self.chance(30) { self.any(ENDS) } else { Bytes::new() };
        pb::Compare { result, target, key: self.key(), with, range_end }
    }

    fn operand(&mut self, now: &Now) -> i64 {
        if self.chance(30) { 0 } else { self.between(0, now.revision + 1) }
    }
}

/// Sets the flags of a put that keep something; a `valid` one then brings nothing itself.
fn keeping(mut put: pb::PutRequest, value: bool, lease: bool, valid: bool) -> pb::PutRequest {
    (put.ignore_value, put.ignore_lease) = (value, lease);
    if value && valid {
        put.value = Bytes::new();
    }
    if lease && valid {
        put.lease = 0;
    }
    put
}
