//! What single commands answer and change, case by case; where etcd's answer is not obvious it was
//! observed on etcd 3.4.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use std::sync::Arc;

use api::Error;
use api::etcdserverpb::alarm_request::AlarmAction;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::response_op::Response;
use api::etcdserverpb::{
    AlarmMember, AlarmRequest, AlarmType, Compare, DeleteRangeRequest, PutRequest, RangeRequest,
    RangeResponse, RequestOp, TxnRequest,
};
use common::history::MemoryHistory;
use common::member::{HEADER, Member, all_keys, delete, get, put, txn_reply};
use prost::Message;
use quorate_store::{
    Change, Command, CommandId, LeaseId, MemberAttributes, MemberId, Op, Options, Previous,
    ReadError, Reply, Revision, Row, SharedStore, Store,
};

fn member() -> Member {
    Member::new(u64::MAX)
}

fn op(request: Request) -> RequestOp {
    RequestOp { request: Some(request) }
}

fn put_op(key: &str) -> RequestOp {
    op(Request::RequestPut(put(key, "v")))
}

fn get_op(key: &str) -> RequestOp {
    op(Request::RequestRange(get(key)))
}

fn nested(success: Vec<RequestOp>) -> RequestOp {
    op(Request::RequestTxn(TxnRequest { success, ..Default::default() }))
}

fn txn(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest { success, ..Default::default() }
}

fn last_row(member: &Member) -> &Row {
    let rows = member.changes.iter().rev().find_map(|change| match change {
        Change::Row(row) => Some(row),
        _ => None,
    });
    rows.expect("something was written")
}

#[test]
fn a_new_store_is_at_revision_1_and_the_first_write_makes_2() {
    let mut member = member();
    assert_eq!(member.store.current_revision(), 1);
    assert_eq!(member.store.compact_revision(), -1);
    assert_eq!(member.range(&all_keys()).unwrap().header.unwrap().revision, 1);
    assert_eq!(member.put("k", "v"), 2);
}

#[test]
fn a_key_starts_again_after_deletion() {
    let mut member = member();
    member.put("k", "1");
    member.put("k", "2");
    member.delete("k");
    member.put("k", "3");
    let kv = member.range(&get("k")).unwrap().kvs.remove(0);
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (5, 5, 1));
}

#[test]
fn a_deletion_of_nothing_takes_no_revision() {
    let mut member = member();
    member.put("k", "v");
    let reply = member.apply(Op::DeleteRange(delete("a", "b"))).unwrap();
    let Reply::DeleteRange(response) = reply else { panic!("not a deletion") };
    assert_eq!((response.deleted, response.header.unwrap().revision), (0, 2));
    assert_eq!(member.changes.len(), 1);
}

#[test]
fn a_range_of_deletions_shares_a_revision_and_answers_in_order_of_key() {
    let mut member = member();
    for key in ["b", "a", "c"] {
        member.put(key, key);
    }
    let request = DeleteRangeRequest { prev_kv: true, ..delete("a", "c") };
    let Reply::DeleteRange(response) = member.apply(Op::DeleteRange(request)).unwrap() else {
        panic!("not a deletion")
    };
    let keys: Vec<_> = response.prev_kvs.iter().map(|kv| kv.key.clone()).collect();
    assert_eq!(keys, ["a", "b"]);
    assert_eq!(last_row(&member).revision, Revision::new(5, 1));
    let view = last_row(&member).record.view();
    assert_eq!((view.key, view.mod_revision, view.version), (b"b".as_slice(), 5, 0));
}

#[test]
fn what_a_row_replaced_is_hot_or_cold_by_memory() {
    for (budget, hot) in [(u64::MAX, true), (0, false)] {
        let mut member = Member::new(budget);
        member.put("k", "1");
        assert_eq!(last_row(&member).previous, Previous::None);
        let before = last_row(&member).record.clone();
        let request = PutRequest { prev_kv: true, ..put("k", "2") };
        let Reply::Put(response) = member.apply(Op::Put(request)).unwrap() else {
            panic!("not a put")
        };
        assert_eq!(response.prev_kv, Some(before.to_key_value()));
        let expected =
            if hot { Previous::Hot(before) } else { Previous::Cold(Revision::new(2, 0)) };
        assert_eq!(last_row(&member).previous, expected);
    }
}

#[test]
fn put_keeps_value_or_lease_when_told_so() {
    let mut member = Member::new(0);
    member.grant(7, 60).unwrap();
    member.apply(Op::Put(PutRequest { lease: 7, ..put("k", "1") })).unwrap();
    member.apply(Op::Put(PutRequest { ignore_lease: true, ..put("k", "2") })).unwrap();
    member.apply(Op::Put(PutRequest { ignore_value: true, lease: 7, ..put("k", "") })).unwrap();
    let kv = member.range(&get("k")).unwrap().kvs.remove(0);
    assert_eq!((kv.value.as_ref(), kv.lease, kv.version), (b"2".as_slice(), 7, 3));
    for request in [
        PutRequest { ignore_lease: true, ..put("absent", "2") },
        PutRequest { ignore_value: true, ..put("absent", "") },
    ] {
        assert_eq!(member.apply(Op::Put(request)), Err(Error::KeyNotFound));
    }
    let unknown = PutRequest { lease: 8, ..put("k", "") };
    assert_eq!(member.apply(Op::Put(unknown)), Err(Error::LeaseNotFound));
}

#[test]
fn revoking_deletes_the_keys_in_order_in_one_revision() {
    let mut member = member();
    member.grant(7, 60).unwrap();
    assert_eq!(member.grant(7, 60), Err(Error::LeaseExist));
    for key in ["b", "a", "gone", "moved"] {
        member.apply(Op::Put(PutRequest { lease: 7, ..put(key, "") })).unwrap();
    }
    member.delete("gone");
    member.put("moved", "no lease any more");
    assert_eq!(member.store.read(|store| store.lease(LeaseId(7))).unwrap().keys, [b"a", b"b"]);
    let before = member.changes.len();
    member.revoke(&[7]).unwrap();
    let rows: Vec<_> = member.changes[before..]
        .iter()
        .filter_map(|change| match change {
            Change::Row(row) => Some((row.revision, row.record.view().key)),
            _ => None,
        })
        .collect();
    let main = member.store.current_revision();
    assert_eq!(rows, [(Revision::new(main, 0), &b"a"[..]), (Revision::new(main, 1), &b"b"[..])]);
    assert_eq!(member.changes.last(), Some(&Change::LeaseRemoved(LeaseId(7))));
    assert_eq!(member.range(&all_keys()).unwrap().count, 1);
}

#[test]
fn revoking_without_keys_takes_no_revision_and_unknown_ones_fail_only_alone() {
    let mut member = member();
    assert_eq!(member.revoke(&[1]), Err(Error::LeaseNotFound));
    member.grant(2, 60).unwrap();
    member.revoke(&[1, 2, 3]).unwrap();
    assert_eq!(member.store.current_revision(), 1);
    assert_eq!(member.store.read(Store::leases), []);
    assert_eq!(member.grant(0, 60), Err(Error::LeaseNotFound));
    assert_eq!(member.grant(5, 9_000_000_001), Err(Error::LeaseTtlTooLarge));
}

#[test]
fn each_expired_lease_gets_a_revision_of_its_own() {
    let mut member = member();
    for id in [1, 2] {
        member.grant(id, 60).unwrap();
        let request = PutRequest { lease: id, ..put(&format!("k{id}"), "") };
        member.apply(Op::Put(request)).unwrap();
    }
    member.revoke(&[1, 2]).unwrap();
    assert_eq!(member.store.current_revision(), 5);
}

fn alarm(action: AlarmAction, member_id: u64, of_type: AlarmType) -> Op {
    Op::Alarm(AlarmRequest { action: action as i32, member_id, alarm: of_type as i32 })
}

#[test]
fn alarms_are_answered_as_etcd_answers() {
    let mut member = member();
    let nospace = AlarmMember { member_id: 7, alarm: AlarmType::Nospace as i32 };
    let mut ask = |action, of_type| match member.apply(alarm(action, 7, of_type)).unwrap() {
        Reply::Alarm(response) => response.alarms,
        other => panic!("not an alarm: {other:?}"),
    };
    assert_eq!(ask(AlarmAction::Get, AlarmType::None), []);
    assert_eq!(ask(AlarmAction::Activate, AlarmType::Nospace), [nospace]);
    assert_eq!(ask(AlarmAction::Activate, AlarmType::Nospace), [nospace]);
    assert_eq!(ask(AlarmAction::Get, AlarmType::None), [nospace]);
    assert_eq!(ask(AlarmAction::Get, AlarmType::Corrupt), []);
    assert_eq!(ask(AlarmAction::Deactivate, AlarmType::Nospace), [nospace]);
    assert_eq!(ask(AlarmAction::Deactivate, AlarmType::Nospace), []);
    assert_eq!(member.changes, [Change::AlarmRaised(nospace), Change::AlarmCleared(nospace)]);
}

#[test]
fn a_corrupt_cluster_is_neither_read_nor_written() {
    let mut member = member();
    member.put("k", "v");
    member.apply(alarm(AlarmAction::Activate, 1, AlarmType::Corrupt)).unwrap();
    assert_eq!(member.apply(Op::Put(put("k", "v"))), Err(Error::Corrupt));
    assert_eq!(member.revoke(&[1]), Err(Error::Corrupt));
    assert_eq!(member.range(&get("k")), Err(Error::Corrupt));
    let read = member.store.txn_read_only(&txn(vec![get_op("k")]), &HEADER);
    assert!(matches!(read, Err(ReadError::Etcd(Error::Corrupt))));
    assert!(member.restarted().range(&get("k")).is_err(), "a restart keeps the alarm");
    member.apply(alarm(AlarmAction::Deactivate, 1, AlarmType::Corrupt)).unwrap();
    assert_eq!(member.range(&get("k")).unwrap().count, 1);
}

#[test]
fn without_space_deleting_and_reading_go_on() {
    let mut member = member();
    member.put("k", "v");
    member.apply(alarm(AlarmAction::Activate, 1, AlarmType::Nospace)).unwrap();
    assert_eq!(member.apply(Op::Put(put("k", "v"))), Err(Error::NoSpace));
    assert_eq!(member.txn(txn(vec![put_op("k")])), Err(Error::NoSpace));
    assert_eq!(member.grant(1, 5), Err(Error::NoSpace));
    assert_eq!(member.range(&get("k")).unwrap().count, 1);
    assert_eq!(member.delete("k"), 3);
    member.compact(3).unwrap();
}

#[test]
fn headers_inside_a_transaction_carry_the_revision_so_far_and_nested_ones_nothing() {
    let mut member = member();
    let inner = nested(vec![put_op("a"), get_op("a")]);
    let response = txn_reply(member.txn(txn(vec![get_op("a"), inner, get_op("a")])));
    assert_eq!(response.header.unwrap().revision, 2);
    let revision = |response: &Response| match response {
        Response::ResponseRange(range) => range.header.unwrap().revision,
        Response::ResponsePut(put) => put.header.unwrap().revision,
        Response::ResponseDeleteRange(delete) => delete.header.unwrap().revision,
        Response::ResponseTxn(txn) => txn.header.unwrap().revision,
    };
    let revisions = |responses: &[api::etcdserverpb::ResponseOp]| -> Vec<i64> {
        responses.iter().map(|op| revision(op.response.as_ref().unwrap())).collect()
    };
    assert_eq!(revisions(&response.responses), [1, 0, 2]);
    let Some(Response::ResponseTxn(inner)) = &response.responses[1].response else {
        panic!("not nested")
    };
    assert_eq!(revisions(&inner.responses), [2, 2]);
}

#[test]
fn changes_of_a_transaction_are_numbered_inside_one_revision() {
    let mut member = member();
    member.txn(txn(vec![put_op("b"), nested(vec![put_op("c")]), put_op("a")])).unwrap();
    let rows: Vec<_> = member
        .changes
        .iter()
        .filter_map(|change| match change {
            Change::Row(row) => Some((row.revision.main, row.revision.sub, row.record.view().key)),
            _ => None,
        })
        .collect();
    assert_eq!(rows, [(2, 0, &b"b"[..]), (2, 1, b"c"), (2, 2, b"a")]);
}

/// A comparison in a nested transaction must not see what the outer one writes before it.
#[test]
fn all_comparisons_see_the_state_before_the_transaction() {
    let mut member = member();
    let absent = Compare { key: "a".into(), ..Default::default() };
    let inner = TxnRequest {
        compare: vec![absent],
        success: vec![put_op("absent-then")],
        failure: vec![put_op("present-then")],
    };
    let request = txn(vec![put_op("a"), op(Request::RequestTxn(inner))]);
    member.txn(request).unwrap();
    assert_eq!(member.range(&get("absent-then")).unwrap().count, 1);
}

#[test]
fn a_put_that_cannot_be_done_refuses_the_whole_transaction() {
    let mut member = member();
    let refused = |request: PutRequest| {
        txn(vec![put_op("first"), nested(vec![op(Request::RequestPut(request))])])
    };
    let with_lease = PutRequest { lease: 9, ..put("k", "") };
    assert_eq!(member.txn(refused(with_lease)), Err(Error::LeaseNotFound));
    let keeping = PutRequest { ignore_value: true, ..put("k", "") };
    assert_eq!(member.txn(refused(keeping)), Err(Error::KeyNotFound));
    assert_eq!(member.changes, []);
    // Puts are looked at before ranges, whatever their order.
    let future = op(Request::RequestRange(RangeRequest { revision: 99, ..get("k") }));
    let with_lease = op(Request::RequestPut(PutRequest { lease: 9, ..put("k", "") }));
    assert_eq!(member.txn(txn(vec![future, with_lease])), Err(Error::LeaseNotFound));
}

/// etcd ends its process over this one; every member must come to the same state instead.
#[test]
fn keeping_the_value_of_a_key_deleted_earlier_in_the_transaction_gives_an_empty_one() {
    let mut member = member();
    member.put("k", "v");
    let from_k = op(Request::RequestDeleteRange(delete("k", "\0")));
    let keeping = op(Request::RequestPut(PutRequest { ignore_value: true, ..put("k", "") }));
    member.txn(txn(vec![from_k, keeping])).unwrap();
    let kv = member.range(&get("k")).unwrap().kvs.remove(0);
    assert_eq!((kv.value.len(), kv.version, kv.create_revision), (0, 1, 3));
}

#[test]
fn an_empty_transaction_succeeds_without_a_revision() {
    let mut member = member();
    let response = txn_reply(member.txn(TxnRequest::default()));
    assert!(response.succeeded);
    assert_eq!(response.header.unwrap().revision, 1);
}

#[test]
fn negative_revisions_inside_transactions_are_compared_with_the_compacted_one() {
    let mut member = member();
    member.put("k", "v");
    let at = |revision| {
        let range = RangeRequest { revision, ..get("k") };
        txn(vec![op(Request::RequestRange(range)), put_op("other")])
    };
    assert!(txn_reply(member.txn(at(-1))).succeeded);
    assert_eq!(member.txn(at(-2)), Err(Error::Compacted));
    assert_eq!(member.range(&RangeRequest { revision: -2, ..get("k") }).unwrap().count, 1);
    member.compact(2).unwrap();
    assert_eq!(member.txn(at(-1)), Err(Error::Compacted));
}

#[test]
fn a_read_only_transaction_answers_as_the_log_would() {
    for budget in [0, u64::MAX] {
        let mut member = Member::new(budget);
        (0..5).for_each(|n| _ = member.put("k", &n.to_string()));
        let old = op(Request::RequestRange(RangeRequest { revision: 3, ..get("k") }));
        let value = Compare {
            key: "k".into(),
            target: 3,
            target_union: Some(api::etcdserverpb::compare::TargetUnion::Value("4".into())),
            ..Default::default()
        };
        let request =
            TxnRequest { compare: vec![value], success: vec![get_op("k"), old], failure: vec![] };
        let read = member.store.txn_read_only(&request, &HEADER).unwrap();
        assert_eq!(read.header.unwrap().cluster_id, HEADER.cluster_id);
        let logged = txn_reply(member.txn(request));
        assert_eq!(read.responses, logged.responses);
        assert_eq!((read.succeeded, logged.succeeded), (true, true));
        assert_eq!(read.header.unwrap().revision, 6);
        let writing = member.store.txn_read_only(&txn(vec![put_op("k")]), &HEADER);
        assert!(matches!(writing, Err(ReadError::Etcd(Error::Internal(_)))));
    }
}

/// Between `apply` and the hand-over of its changes the database has none of the new rows.
#[test]
fn versions_replaced_in_the_same_slice_can_be_read_before_the_database_has_them() {
    let history = Arc::new(MemoryHistory::default());
    let options = Options { value_bytes_max: 0, ..Options::default() };
    let store = SharedStore::new(Store::new(options), history.clone());
    let id = CommandId { member: MemberId(1), sequence: 1 };
    let old = op(Request::RequestRange(RangeRequest { revision: 2, ..get("k") }));
    let commands =
        [Op::Put(put("k", "1")), Op::Put(put("k", "2")), Op::Txn(txn(vec![put_op("k"), old]))]
            .map(|op| Command::new(id, op));
    let (mut outcomes, mut changes) = (Vec::new(), Vec::new());
    store.apply(&commands, &mut outcomes, &mut changes).unwrap();
    for (revision, value) in [(2, "1"), (3, "2"), (4, "v")] {
        let request = RangeRequest { revision, ..get("k") };
        let encoded = store.range(&request, &HEADER).unwrap();
        assert_eq!(RangeResponse::decode(encoded).unwrap().kvs[0].value, value);
    }
    let hash = store.hash_kv(0).unwrap();
    history.take(&changes);
    assert_eq!(store.hash_kv(0).unwrap(), hash);
    store.apply(&[], &mut outcomes, &mut changes).unwrap();
    assert_eq!(store.hash_kv(0).unwrap(), hash);
    assert_eq!(store.read(Store::hot_bytes), 0);
}

#[test]
fn hashes_differ_when_anything_differs_and_refuse_what_is_not_there() {
    let (mut one, mut two) = (member(), member());
    one.put("k", "1");
    two.put("k", "2");
    assert_ne!(one.store.hash_kv(0).unwrap().hash, two.store.hash_kv(0).unwrap().hash);
    one.put("k", "3");
    let at_2 = one.store.hash_kv(2).unwrap();
    assert_eq!((at_2.hash_revision, at_2.compact_revision), (2, -1));
    assert_ne!(at_2.hash, one.store.hash_kv(3).unwrap().hash);
    one.compact(3).unwrap();
    let refused = |revision| match one.store.hash_kv(revision) {
        Err(ReadError::Etcd(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(2), Error::Compacted);
    assert_eq!(refused(4), Error::FutureRevision);
}

#[test]
fn what_members_publish_is_kept_until_they_leave() {
    let mut member = member();
    let publish = |id| MemberAttributes {
        member: MemberId(id),
        name: format!("member {id}"),
        client_urls: vec![],
    };
    for id in [2, 1] {
        member.apply(Op::MemberAttributes(publish(id))).unwrap();
    }
    member.apply(Op::ClusterVersion("3.7.0".to_owned())).unwrap();
    let restarted = member.restarted();
    for member in [&member, &restarted] {
        assert_eq!(member.store.read(Store::members), [publish(1), publish(2)]);
        let version = member.store.read(|store| store.cluster_version().map(str::to_owned));
        assert_eq!(version.as_deref(), Some("3.7.0"));
    }
    let mut changes = Vec::new();
    member.store.members_retain(&[MemberId(2)], &mut changes);
    assert_eq!(changes, [Change::MemberRemoved(MemberId(1))]);
    assert_eq!(member.store.read(Store::members), [publish(2)]);
}

/// Found by comparing with etcd: there a target alone does not look beyond the limit, only an
/// order or a filter does.
#[test]
fn a_sort_target_without_an_order_sorts_only_the_first_keys() {
    let mut member = member();
    for key in ["d", "c", "b", "a"] {
        member.put(key, "v");
    }
    let keys = |request: RangeRequest| -> (Vec<u8>, bool) {
        let answer = member.store.range(&request, &HEADER).unwrap();
        let answer = RangeResponse::decode(answer).unwrap();
        (answer.kvs.iter().map(|kv| kv.key[0]).collect(), answer.more)
    };
    let by_create = RangeRequest { sort_target: 2, limit: 1, ..all_keys() };
    assert_eq!(keys(by_create.clone()), (b"b".to_vec(), true));
    assert_eq!(keys(RangeRequest { limit: 2, ..by_create.clone() }), (b"cb".to_vec(), true));
    assert_eq!(keys(RangeRequest { limit: 0, ..by_create.clone() }), (b"dcba".to_vec(), false));
    assert_eq!(keys(RangeRequest { sort_order: 1, ..by_create.clone() }), (b"d".to_vec(), true));
    assert_eq!(keys(RangeRequest { min_mod_revision: 1, ..by_create }), (b"d".to_vec(), true));
}

#[test]
fn a_stream_refuses_what_it_would_have_to_gather_first() {
    let member = member();
    for request in [
        RangeRequest { sort_order: 2, ..all_keys() },
        RangeRequest { sort_target: 3, ..all_keys() },
        RangeRequest { min_mod_revision: 1, ..all_keys() },
        RangeRequest { max_create_revision: 1, ..all_keys() },
    ] {
        let refused = member.store.range_stream(request, HEADER, 1000);
        assert!(matches!(refused, Err(ReadError::Etcd(Error::Unimplemented(_)))));
    }
    let ascending = RangeRequest { sort_order: 1, ..all_keys() };
    assert_eq!(member.store.range_stream(ascending, HEADER, 1000).unwrap().count(), 1);
}
