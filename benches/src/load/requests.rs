//! The requests of all cases, encoded as frames.

use api::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::watch_request::RequestUnion;
use api::etcdserverpb::{
    Compare, DeleteRangeRequest, LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest,
    PutRequest, RangeRequest, RequestOp, TxnRequest, WatchCreateRequest, WatchRequest,
};
use bytes::Bytes;

use crate::wire::encode;

/// Puts a value.
pub fn put(key: Bytes, value: Bytes) -> Bytes {
    encode(&put_of(key, value, 0))
}

/// Puts several values in one transaction.
pub fn put_all(keys: impl Iterator<Item = Bytes>, value: &Bytes) -> Bytes {
    let puts = keys.map(|key| op(Request::RequestPut(put_of(key, value.clone(), 0))));
    encode(&TxnRequest { success: puts.collect(), ..Default::default() })
}

/// Reads one key.
pub fn get(key: Bytes, serializable: bool) -> Bytes {
    encode(&RangeRequest { key, serializable, ..Default::default() })
}

/// Reads the keys from `key` up to `range_end`, at most `limit` (0 for all).
pub fn list(key: Bytes, range_end: Bytes, limit: i64, serializable: bool) -> Bytes {
    encode(&RangeRequest { key, range_end, limit, serializable, ..Default::default() })
}

/// Puts `key` with `lease` if its mod revision is still `revision` (0: if it does not exist), else
/// reads it.
pub fn put_if_unchanged(key: Bytes, value: Bytes, revision: i64, lease: i64) -> Bytes {
    let change = Request::RequestPut(put_of(key.clone(), value, lease));
    if_unchanged(key, revision, change)
}

/// Deletes `key` if its mod revision is still `revision`, else reads it.
pub fn delete_if_unchanged(key: Bytes, revision: i64) -> Bytes {
    let delete = DeleteRangeRequest { key: key.clone(), ..Default::default() };
    if_unchanged(key, revision, Request::RequestDeleteRange(delete))
}

/// Grants a lease; the server chooses its id.
pub fn lease_grant(ttl_s: i64) -> Bytes {
    encode(&LeaseGrantRequest { ttl: ttl_s, id: 0 })
}

/// Renews a lease; one message of the stream.
pub fn lease_keepalive(id: i64) -> Bytes {
    encode(&LeaseKeepAliveRequest { id })
}

/// Ends a lease.
pub fn lease_revoke(id: i64) -> Bytes {
    encode(&LeaseRevokeRequest { id })
}

/// Watches the keys from `key` up to `range_end` (empty: that one key) from now on.
pub fn watch(key: Bytes, range_end: Bytes) -> Bytes {
    let create = WatchCreateRequest { key, range_end, ..Default::default() };
    encode(&WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) })
}

fn put_of(key: Bytes, value: Bytes, lease: i64) -> PutRequest {
    PutRequest { key, value, lease, ..Default::default() }
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn if_unchanged(key: Bytes, revision: i64, change: Request) -> Bytes {
    let read = RangeRequest { key: key.clone(), ..Default::default() };
    let compare = Compare {
        result: CompareResult::Equal.into(),
        target: CompareTarget::Mod.into(),
        key,
        target_union: Some(TargetUnion::ModRevision(revision)),
        ..Default::default()
    };
    encode(&TxnRequest {
        compare: vec![compare],
        success: vec![op(change)],
        failure: vec![op(Request::RequestRange(read))],
    })
}
