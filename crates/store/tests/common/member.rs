//! One member: a store, its database, and what it told the database.

use std::sync::Arc;

use api::etcdserverpb::{
    CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RangeResponse, ResponseHeader, TxnRequest,
};
use prost::Message;
use quorate_store::{
    Change, Command, CommandId, LeaseId, MemberId, Op, Options, Outcome, ReadError, Reply,
    SharedStore, Store,
};

use super::history::MemoryHistory;

pub struct Member {
    pub store: Arc<SharedStore>,
    pub history: Arc<MemoryHistory>,
    pub changes: Vec<Change>,
    options: Options,
}

pub const HEADER: ResponseHeader =
    ResponseHeader { cluster_id: 1, member_id: 2, revision: 0, raft_term: 3 };

impl Member {
    pub fn new(value_bytes_max: u64) -> Self {
        let options = Options { value_bytes_max, ..Options::default() };
        let history = Arc::new(MemoryHistory::default());
        let store = Arc::new(SharedStore::new(Store::new(options.clone()), history.clone()));
        Self { store, history, changes: Vec::new(), options }
    }

    pub fn apply_all(&mut self, ops: &[Op]) -> Vec<Outcome> {
        let id = CommandId { member: MemberId(1), sequence: 1 };
        let commands: Vec<_> = ops.iter().map(|op| Command::new(id, op.clone())).collect();
        let (mut outcomes, mut changes) = (Vec::new(), Vec::new());
        self.store.apply(&commands, &mut outcomes, &mut changes).unwrap();
        assert_eq!(outcomes.len(), ops.len());
        self.take(changes);
        outcomes
    }

    pub fn apply(&mut self, op: Op) -> Outcome {
        self.apply_all(&[op]).remove(0)
    }

    pub fn take(&mut self, changes: Vec<Change>) {
        self.history.take(&changes);
        self.changes.extend(changes);
    }

    pub fn put(&mut self, key: &str, value: &str) -> i64 {
        self.apply(Op::Put(put(key, value))).unwrap();
        self.store.current_revision()
    }

    pub fn delete(&mut self, key: &str) -> i64 {
        self.apply(Op::DeleteRange(delete(key, ""))).unwrap();
        self.store.current_revision()
    }

    pub fn txn(&mut self, request: TxnRequest) -> Outcome {
        self.apply(Op::Txn(request))
    }

    pub fn compact(&mut self, revision: i64) -> Outcome {
        self.apply(Op::Compact(CompactionRequest { revision, physical: false }))
    }

    pub fn grant(&mut self, id: i64, ttl: i64) -> Outcome {
        self.apply(Op::LeaseGrant(LeaseGrantRequest { ttl, id }))
    }

    pub fn revoke(&mut self, ids: &[i64]) -> Outcome {
        self.apply(Op::LeaseRevoke(ids.iter().copied().map(LeaseId).collect()))
    }

    /// One step of physical compaction.
    pub fn step(&mut self, rows_max: usize) -> bool {
        let mut changes = Vec::new();
        let more = self.store.compact_step(rows_max, &mut changes);
        self.take(changes);
        more
    }

    pub fn trim(&mut self) {
        while self.step(100) {}
        assert!(self.store.read(Store::is_trimmed));
    }

    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, api::Error> {
        match self.store.range(request, &HEADER) {
            Ok(encoded) => Ok(RangeResponse::decode(encoded).unwrap()),
            Err(ReadError::Etcd(error)) => Err(error),
            Err(ReadError::History(error)) => panic!("{error}"),
        }
    }

    /// The same state after a restart, from what the database was told.
    pub fn restarted(&self) -> Self {
        let mut loader = Store::loader(self.options.clone());
        let mut leases = std::collections::BTreeMap::new();
        for change in &self.changes {
            match change {
                Change::Compacted(revision) => loader.compacted(*revision),
                Change::Lease { id, ttl_s } => drop(leases.insert(*id, *ttl_s)),
                Change::LeaseRemoved(id) => drop(leases.remove(id)),
                Change::MemberAttributes(attributes) => loader.member(attributes.clone()),
                Change::ClusterVersion(version) => loader.cluster_version(version.clone()),
                Change::AlarmRaised(alarm) => loader.alarm(*alarm),
                _ => {}
            }
        }
        let history = Arc::new(MemoryHistory::default());
        for (revision, kind, record) in self.history.rows() {
            let previous = quorate_store::Previous::None;
            let row = quorate_store::Row { revision, kind, record: record.clone(), previous };
            history.take(&[Change::Row(row)]);
            loader.row(revision, kind, record);
        }
        leases.into_iter().for_each(|(id, ttl_s)| loader.lease(id, ttl_s));
        let store = Arc::new(SharedStore::new(loader.finish(), history.clone()));
        Self { store, history, changes: self.changes.clone(), options: self.options.clone() }
    }
}

pub fn put(key: &str, value: &str) -> PutRequest {
    PutRequest { key: key.to_owned().into(), value: value.to_owned().into(), ..Default::default() }
}

pub fn delete(key: &str, range_end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: key.to_owned().into(),
        range_end: range_end.to_owned().into(),
        prev_kv: false,
    }
}

pub fn get(key: &str) -> RangeRequest {
    RangeRequest { key: key.to_owned().into(), ..Default::default() }
}

pub fn all_keys() -> RangeRequest {
    RangeRequest { key: "\0".into(), range_end: "\0".into(), ..Default::default() }
}

pub fn txn_reply(outcome: Outcome) -> api::etcdserverpb::TxnResponse {
    match outcome.unwrap() {
        Reply::Txn(response) => response,
        other => panic!("not a transaction: {other:?}"),
    }
}
