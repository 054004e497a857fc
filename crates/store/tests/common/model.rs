//! The naive model: every version of every key in a list, every question answered by looking at
//! all of them.

use std::collections::{BTreeMap, BTreeSet};

use api::Error;
use api::etcdserverpb::compare::TargetUnion;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::response_op::Response;
use api::etcdserverpb::{
    CompactionResponse, Compare, DeleteRangeRequest, DeleteRangeResponse, LeaseGrantResponse,
    LeaseRevokeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use api::mvccpb::KeyValue;
use bytes::Bytes;
use quorate_store::{Op, Outcome, Reply};

/// A version; `None` is a deletion.
type Version = (i64, Option<KeyValue>);

#[derive(Clone)]
pub struct Model {
    keys: BTreeMap<Bytes, Vec<Version>>,
    pub current: i64,
    pub compacted: i64,
    leases: BTreeMap<i64, i64>,
}

fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader { revision, ..Default::default() })
}

fn in_range(key: &Bytes, from: &Bytes, range_end: &Bytes) -> bool {
    match range_end.as_ref() {
        [] => key == from,
        [0] => key >= from,
        end => key >= from && key.as_ref() < end,
    }
}

impl Model {
    pub fn new() -> Self {
        let (keys, leases) = (BTreeMap::new(), BTreeMap::new());
        Self { keys, current: 1, compacted: -1, leases }
    }

    pub fn apply(&mut self, op: &Op) -> Outcome {
        match op {
            Op::Put(request) => {
                self.check_put(request)?;
                let mut changed = false;
                let reply = self.put(request, &mut changed);
                self.end(changed);
                Ok(Reply::Put(reply))
            }
            Op::DeleteRange(request) => {
                let mut changed = false;
                let reply = self.delete(request, &mut changed);
                self.end(changed);
                Ok(Reply::DeleteRange(reply))
            }
            Op::Txn(request) => self.txn(request).map(Reply::Txn),
            Op::Compact(request) => {
                if request.revision <= self.compacted {
                    return Err(Error::Compacted);
                }
                if request.revision > self.current {
                    return Err(Error::FutureRevision);
                }
                self.compacted = request.revision;
                Ok(Reply::Compact(CompactionResponse { header: header(self.current) }))
            }
            Op::LeaseGrant(request) => {
                if self.leases.contains_key(&request.id) {
                    return Err(Error::LeaseExist);
                }
                self.leases.insert(request.id, request.ttl);
                let (id, ttl) = (request.id, request.ttl);
                let header = header(self.current);
                Ok(Reply::LeaseGrant(LeaseGrantResponse { header, id, ttl, error: String::new() }))
            }
            Op::LeaseRevoke(ids) => {
                for id in ids {
                    if self.leases.remove(&id.0).is_none() {
                        if ids.len() == 1 {
                            return Err(Error::LeaseNotFound);
                        }
                        continue;
                    }
                    let mut changed = false;
                    for kv in self.live(self.current).into_iter().filter(|kv| kv.lease == id.0) {
                        self.set(&kv.key, None, &mut changed);
                    }
                    self.end(changed);
                }
                Ok(Reply::LeaseRevoke(LeaseRevokeResponse { header: header(self.current) }))
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn end(&mut self, changed: bool) {
        self.current += i64::from(changed);
    }

    fn set(&mut self, key: &Bytes, kv: Option<KeyValue>, changed: &mut bool) {
        *changed = true;
        self.keys.entry(key.clone()).or_default().push((self.current + 1, kv));
    }

    /// What `key` was at `revision`.
    fn at(&self, key: &Bytes, revision: i64) -> Option<KeyValue> {
        let versions = self.keys.get(key)?;
        versions.iter().rev().find(|(main, _)| *main <= revision)?.1.clone()
    }

    fn live(&self, revision: i64) -> Vec<KeyValue> {
        self.keys.keys().filter_map(|key| self.at(key, revision)).collect()
    }

    fn check_put(&self, request: &PutRequest) -> Result<(), Error> {
        if request.lease != 0 && !self.leases.contains_key(&request.lease) {
            return Err(Error::LeaseNotFound);
        }
        let absent = self.at(&request.key, self.current).is_none();
        if (request.ignore_lease || request.ignore_value) && absent {
            return Err(Error::KeyNotFound);
        }
        Ok(())
    }

    fn put(&mut self, request: &PutRequest, changed: &mut bool) -> PutResponse {
        let main = self.current + 1;
        let before = self.at(&request.key, main);
        let old = before.clone().unwrap_or_default();
        let kv = KeyValue {
            key: request.key.clone(),
            create_revision: if before.is_some() { old.create_revision } else { main },
            mod_revision: main,
            version: old.version + 1,
            value: if request.ignore_value { old.value } else { request.value.clone() },
            lease: if request.ignore_lease { old.lease } else { request.lease },
        };
        self.set(&request.key, Some(kv), changed);
        PutResponse { header: header(main), prev_kv: before.filter(|_| request.prev_kv) }
    }

    fn delete(&mut self, request: &DeleteRangeRequest, changed: &mut bool) -> DeleteRangeResponse {
        let now = self.current + i64::from(*changed);
        let mut gone = self.live(now);
        gone.retain(|kv| in_range(&kv.key, &request.key, &request.range_end));
        for kv in &gone {
            self.set(&kv.key, None, changed);
        }
        DeleteRangeResponse {
            header: header(self.current + i64::from(*changed)),
            deleted: gone.len() as i64,
            prev_kvs: if request.prev_kv { gone } else { vec![] },
        }
    }

    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        if request.revision > self.current {
            return Err(Error::FutureRevision);
        }
        if request.revision > 0 && request.revision < self.compacted {
            return Err(Error::Compacted);
        }
        Ok(self.range_now(request, self.current))
    }

    fn range_now(&self, request: &RangeRequest, now: i64) -> RangeResponse {
        let revision = if request.revision > 0 { request.revision } else { now };
        let mut kvs = self.live(revision);
        kvs.retain(|kv| in_range(&kv.key, &request.key, &request.range_end));
        let count = kvs.len() as i64;
        let header = header(now);
        if request.count_only {
            return RangeResponse { header, kvs: vec![], more: false, count };
        }
        kvs.retain(|kv| {
            (request.max_mod_revision == 0 || kv.mod_revision <= request.max_mod_revision)
                && (request.min_mod_revision == 0 || kv.mod_revision >= request.min_mod_revision)
                && (request.max_create_revision == 0
                    || kv.create_revision <= request.max_create_revision)
                && (request.min_create_revision == 0
                    || kv.create_revision >= request.min_create_revision)
        });
        let filters = request.max_mod_revision
            | request.min_mod_revision
            | request.max_create_revision
            | request.min_create_revision;
        if request.sort_order == 0 && filters == 0 && request.limit > 0 {
            kvs.truncate(request.limit as usize + 1);
        }
        match request.sort_target {
            0 => {}
            1 => kvs.sort_by_key(|kv| kv.version),
            2 => kvs.sort_by_key(|kv| kv.create_revision),
            3 => kvs.sort_by_key(|kv| kv.mod_revision),
            _ => kvs.sort_by_key(|kv| kv.value.clone()),
        }
        if request.sort_order == 2 {
            kvs = descending(kvs, request.sort_target);
        }
        let more = request.limit > 0 && kvs.len() as i64 > request.limit;
        if more {
            kvs.truncate(request.limit as usize);
        }
        if request.keys_only {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        RangeResponse { header, kvs, more, count }
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Error> {
        let mut taken = Vec::new();
        self.choose(request, &mut taken);
        self.check(request, &mut taken.clone().into_iter())?;
        let mut changed = false;
        let mut response = self.execute(request, &mut taken.into_iter(), &mut changed);
        self.end(changed);
        response.header = header(self.current);
        Ok(response)
    }

    fn choose(&self, request: &TxnRequest, taken: &mut Vec<bool>) {
        let holds = request.compare.iter().all(|compare| self.holds(compare));
        taken.push(holds);
        for op in ops(request, holds) {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                self.choose(nested, taken);
            }
        }
    }

    fn holds(&self, compare: &Compare) -> bool {
        let mut kvs = self.live(self.current);
        kvs.retain(|kv| in_range(&kv.key, &compare.key, &compare.range_end));
        if kvs.is_empty() {
            return compare.target != 3 && matches(compare, &KeyValue::default());
        }
        kvs.iter().all(|kv| matches(compare, kv))
    }

    /// Puts are refused before ranges, whatever their order.
    fn check(
        &self,
        request: &TxnRequest,
        taken: &mut std::vec::IntoIter<bool>,
    ) -> Result<(), Error> {
        let mut flat = Vec::new();
        flatten(request, taken, &mut flat);
        for op in &flat {
            if let Request::RequestPut(put) = op {
                self.check_put(put)?;
            }
        }
        for op in &flat {
            if let Request::RequestRange(range) = op {
                if range.revision > self.current {
                    return Err(Error::FutureRevision);
                }
                if range.revision != 0 && range.revision < self.compacted {
                    return Err(Error::Compacted);
                }
            }
        }
        Ok(())
    }

    fn execute(
        &mut self,
        request: &TxnRequest,
        taken: &mut std::vec::IntoIter<bool>,
        changed: &mut bool,
    ) -> TxnResponse {
        let succeeded = taken.next().unwrap();
        let mut responses = Vec::new();
        for op in ops(request, succeeded) {
            let response = match op.request.as_ref().unwrap() {
                Request::RequestRange(range) => {
                    let now = self.current + i64::from(*changed);
                    Response::ResponseRange(self.range_now(range, now))
                }
                Request::RequestPut(put) => Response::ResponsePut(self.put(put, changed)),
                Request::RequestDeleteRange(delete) => {
                    Response::ResponseDeleteRange(self.delete(delete, changed))
                }
                Request::RequestTxn(nested) => {
                    Response::ResponseTxn(self.execute(nested, taken, changed))
                }
            };
            responses.push(ResponseOp { response: Some(response) });
        }
        TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses }
    }

    /// Rows that a member needs after compaction, as (main revision, deletion, key): all of the
    /// transaction compacted at and later, and before that what a read there finds.
    pub fn reachable(&self) -> BTreeSet<(i64, bool, Bytes)> {
        let mut reachable = BTreeSet::new();
        for (key, versions) in &self.keys {
            let found = self.at(key, self.compacted).map(|kv| kv.mod_revision);
            for (main, kv) in versions {
                if *main >= self.compacted || (kv.is_some() && Some(*main) == found) {
                    reachable.insert((*main, kv.is_none(), key.clone()));
                }
            }
        }
        reachable
    }

    pub fn lease_keys(&self, id: i64) -> Vec<Vec<u8>> {
        let live = self.live(self.current);
        live.into_iter().filter(|kv| kv.lease == id).map(|kv| kv.key.to_vec()).collect()
    }

    pub fn leases(&self) -> Vec<(i64, i64)> {
        self.leases.iter().map(|(id, ttl)| (*id, *ttl)).collect()
    }

    pub fn live_now(&self) -> u64 {
        self.live(self.current).len() as u64
    }
}

fn ops(request: &TxnRequest, holds: bool) -> &[RequestOp] {
    if holds { &request.success } else { &request.failure }
}

fn flatten<'a>(
    request: &'a TxnRequest,
    taken: &mut std::vec::IntoIter<bool>,
    flat: &mut Vec<&'a Request>,
) {
    for op in ops(request, taken.next().unwrap()) {
        match op.request.as_ref().unwrap() {
            Request::RequestTxn(nested) => flatten(nested, taken, flat),
            other => flat.push(other),
        }
    }
}

/// Turns groups of equals round, each group staying in order of key.
fn descending(kvs: Vec<KeyValue>, target: i32) -> Vec<KeyValue> {
    let same = |a: &KeyValue, b: &KeyValue| match target {
        0 => a.key == b.key,
        1 => a.version == b.version,
        2 => a.create_revision == b.create_revision,
        3 => a.mod_revision == b.mod_revision,
        _ => a.value == b.value,
    };
    let groups: Vec<&[KeyValue]> = kvs.chunk_by(same).collect();
    groups.into_iter().rev().flatten().cloned().collect()
}

fn matches(compare: &Compare, kv: &KeyValue) -> bool {
    let ordering = match compare.target_union.as_ref().unwrap() {
        TargetUnion::Version(version) => kv.version.cmp(version),
        TargetUnion::CreateRevision(revision) => kv.create_revision.cmp(revision),
        TargetUnion::ModRevision(revision) => kv.mod_revision.cmp(revision),
        TargetUnion::Value(value) => kv.value.cmp(value),
        TargetUnion::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.result {
        0 => ordering.is_eq(),
        1 => ordering.is_gt(),
        2 => ordering.is_lt(),
        _ => ordering.is_ne(),
    }
}
