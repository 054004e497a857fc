//! Random requests over few keys, so that they meet.

use api::etcdserverpb::compare::TargetUnion;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{
    CompactionRequest, Compare, DeleteRangeRequest, LeaseGrantRequest, PutRequest, RangeRequest,
    RequestOp, TxnRequest,
};
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use quorate_store::{LeaseId, Op, check_put, check_txn};

/// Keys, prefixes of each other among them.
pub fn key() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        8 => (0..24u8).prop_map(|n| Bytes::from(format!("k{n:02}"))),
        1 => Just(Bytes::from_static(b"k")),
        1 => Just(Bytes::from_static(b"k0")),
        1 => Just(Bytes::from_static(b"\0")),
        1 => Just(Bytes::from_static(b"\xff\xff")),
    ]
}

fn range_end() -> impl Strategy<Value = Bytes> {
    prop_oneof![
        3 => Just(Bytes::new()),
        3 => key(),
        1 => Just(Bytes::from_static(b"\0")),
        1 => Just(Bytes::from_static(b"l")),
    ]
}

fn lease() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0i64), 2 => 1..4i64]
}

pub fn put() -> impl Strategy<Value = PutRequest> {
    (key(), vec(any::<u8>(), 0..12), lease(), any::<bool>(), 0..8u8).prop_map(
        |(key, value, lease, prev_kv, ignore)| {
            let (ignore_value, ignore_lease) = (ignore & 6 == 6, ignore & 5 == 5);
            PutRequest {
                key,
                value: if ignore_value { Bytes::new() } else { value.into() },
                lease: if ignore_lease { 0 } else { lease },
                prev_kv,
                ignore_value,
                ignore_lease,
            }
        },
    )
}

pub fn delete() -> impl Strategy<Value = DeleteRangeRequest> {
    (key(), range_end(), any::<bool>()).prop_map(|(key, range_end, prev_kv)| DeleteRangeRequest {
        key,
        range_end,
        prev_kv,
    })
}

fn bound() -> impl Strategy<Value = i64> {
    prop_oneof![4 => Just(0i64), 1 => 1..40i64]
}

pub fn range() -> impl Strategy<Value = RangeRequest> {
    let head = (key(), range_end(), -1..6i64, prop_oneof![2 => Just(0i64), 2 => 1..60i64]);
    let order = prop_oneof![2 => Just((0, 0)), 1 => (0..3i32, 0..5i32)];
    let flags = (0..4u8, any::<bool>());
    let bounds = prop_oneof![2 => Just([0i64; 4]), 1 => [bound(), bound(), bound(), bound()]];
    (head, order, flags, bounds).prop_map(|(head, order, flags, bounds)| RangeRequest {
        key: head.0,
        range_end: head.1,
        limit: head.2,
        revision: head.3,
        sort_order: order.0,
        sort_target: order.1,
        serializable: false,
        keys_only: flags.1,
        count_only: flags.0 == 0,
        min_mod_revision: bounds[0],
        max_mod_revision: bounds[1],
        min_create_revision: bounds[2],
        max_create_revision: bounds[3],
    })
}

fn compare() -> impl Strategy<Value = Compare> {
    let operand = prop_oneof![
        (0..3i64).prop_map(TargetUnion::Version),
        (0..20i64).prop_map(TargetUnion::CreateRevision),
        (0..20i64).prop_map(TargetUnion::ModRevision),
        vec(any::<u8>(), 0..2).prop_map(|value| TargetUnion::Value(value.into())),
        lease().prop_map(TargetUnion::Lease),
    ];
    (key(), range_end(), 0..4i32, operand).prop_map(|(key, range_end, result, operand)| {
        let target = match operand {
            TargetUnion::Version(_) => 0,
            TargetUnion::CreateRevision(_) => 1,
            TargetUnion::ModRevision(_) => 2,
            TargetUnion::Value(_) => 3,
            TargetUnion::Lease(_) => 4,
        };
        Compare { result, target, key, range_end, target_union: Some(operand) }
    })
}

/// Transactions that pass the request check; three levels at most.
pub fn txn() -> impl Strategy<Value = TxnRequest> {
    let leaf = prop_oneof![
        3 => put().prop_map(Request::RequestPut),
        2 => delete().prop_map(Request::RequestDeleteRange),
        2 => range().prop_map(Request::RequestRange),
    ];
    let op = leaf.prop_recursive(2, 12, 3, |op| {
        let ops = vec(op.prop_map(|request| RequestOp { request: Some(request) }), 0..3);
        (vec(compare(), 0..2), ops.clone(), ops).prop_map(|(compare, success, failure)| {
            Request::RequestTxn(TxnRequest { compare, success, failure })
        })
    });
    let ops = vec(op.prop_map(|request| RequestOp { request: Some(request) }), 0..4);
    (vec(compare(), 0..3), ops.clone(), ops)
        .prop_map(|(compare, success, failure)| TxnRequest { compare, success, failure })
        .prop_filter("the request check refuses it", |txn| check_txn(txn, 128).is_ok())
        .prop_filter("depends on what etcd cannot execute", |txn| !keeps_of_deleted(txn))
}

/// A put that is to keep value or lease of a key that may be deleted before it in the same
/// transaction passes etcd's checks and then ends its process; the model has no answer for that.
fn keeps_of_deleted(txn: &TxnRequest) -> bool {
    let (mut keeps, mut deletes) = (false, false);
    look(txn, &mut keeps, &mut deletes);
    keeps && deletes
}

fn look(txn: &TxnRequest, keeps: &mut bool, deletes: &mut bool) {
    for op in txn.success.iter().chain(&txn.failure) {
        match op.request.as_ref().unwrap() {
            Request::RequestPut(put) => *keeps |= put.ignore_lease || put.ignore_value,
            Request::RequestDeleteRange(_) => *deletes = true,
            Request::RequestTxn(nested) => look(nested, keeps, deletes),
            Request::RequestRange(_) => {}
        }
    }
}

/// What clients ask for. Compactions name a revision near the beginning of a short test.
pub fn op() -> impl Strategy<Value = Op> {
    let valid_put = put().prop_filter("refused", |put| check_put(put).is_ok());
    prop_oneof![
        8 => valid_put.prop_map(Op::Put),
        3 => delete().prop_map(Op::DeleteRange),
        4 => txn().prop_map(Op::Txn),
        1 => (0..40i64).prop_map(|revision| {
            Op::Compact(CompactionRequest { revision, physical: false })
        }),
        1 => (1..4i64, 5..9i64).prop_map(|(id, ttl)| {
            Op::LeaseGrant(LeaseGrantRequest { ttl, id })
        }),
        1 => vec((1..4i64).prop_map(LeaseId), 1..3).prop_map(Op::LeaseRevoke),
    ]
}
