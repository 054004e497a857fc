//! Compaction beside readers, and others' bugs with it (rust-design 5.4).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use api::Error;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{RangeRequest, RangeResponse, RequestOp, TxnRequest};
use common::member::{HEADER, Member, all_keys, get, put, txn_reply};
use prost::Message;
use quorate_store::{Change, Op, ReadError, Revision, RowKind, Store};

fn at(revision: i64) -> RangeRequest {
    RangeRequest { revision, ..get("k") }
}

fn with_keys(keys: usize) -> Member {
    let mut member = Member::new(u64::MAX);
    let ops: Vec<_> = (0..keys).map(|n| Op::Put(put(&format!("k{n:05}"), "1"))).collect();
    member.apply_all(&ops);
    member
}

#[test]
fn the_revision_compacted_at_can_be_read_and_the_one_before_cannot() {
    let mut member = Member::new(u64::MAX);
    (0..5).for_each(|n| _ = member.put("k", &n.to_string()));
    assert_eq!(member.compact(7), Err(Error::FutureRevision));
    member.compact(4).unwrap();
    assert_eq!(member.compact(4), Err(Error::Compacted));
    assert_eq!(member.compact(3), Err(Error::Compacted));
    for trimmed in [false, true] {
        assert_eq!(member.range(&at(3)), Err(Error::Compacted), "trimmed: {trimmed}");
        assert_eq!(member.range(&at(4)).unwrap().kvs[0].mod_revision, 4);
        assert_eq!(member.range(&at(7)), Err(Error::FutureRevision));
        assert_eq!(member.store.current_revision(), 6, "compaction takes no revision");
        member.trim();
    }
    let compacted = member.changes.iter().filter(|c| matches!(c, Change::Compacted(4)));
    assert_eq!(compacted.count(), 1);
}

#[test]
fn compacting_an_empty_store_at_zero_is_legal_once() {
    let mut member = Member::new(u64::MAX);
    assert_eq!(member.compact(-1), Err(Error::Compacted));
    member.compact(0).unwrap();
    assert_eq!(member.compact(0), Err(Error::Compacted));
    assert_eq!(member.store.compact_revision(), 0);
}

/// etcd #18089, #19179: after compaction exactly at a deletion, a watch from there must still see
/// the deletion, on every member, restarted or not.
#[test]
fn etcd_18089_and_19179_a_deletion_at_the_compacted_revision_is_kept() {
    let mut member = Member::new(u64::MAX);
    member.put("k", "1");
    let deleted = member.delete("k");
    member.put("other", "");
    member.compact(deleted).unwrap();
    member.trim();
    let kept = |member: &Member| {
        let rows = member.history.rows();
        rows.iter().map(|(revision, kind, _)| (revision.main, *kind)).collect::<Vec<_>>()
    };
    let expected = [(deleted, RowKind::Delete), (deleted + 1, RowKind::Put)];
    assert_eq!(kept(&member), expected);
    let mut restarted = member.restarted();
    restarted.trim();
    assert_eq!(kept(&restarted), expected);
    assert_eq!(member.store.hash_kv(0).unwrap(), restarted.store.hash_kv(0).unwrap());
    member.compact(deleted + 1).unwrap();
    member.trim();
    assert_eq!(kept(&member), [(deleted + 1, RowKind::Put)]);
}

/// A deletion in a batch must not go before the version it ended: cut between the two, a restart
/// would bring the key back.
#[test]
fn removal_cut_off_anywhere_brings_no_key_back() {
    let mut member = Member::new(u64::MAX);
    for key in ["a", "b", "c"] {
        (0..3).for_each(|n| _ = member.put(key, &n.to_string()));
        member.delete(key);
    }
    let last = member.put("z", "");
    member.compact(last).unwrap();
    loop {
        let mut restarted = member.restarted();
        assert_eq!(restarted.range(&all_keys()).unwrap().count, 1);
        restarted.trim();
        assert_eq!(restarted.history.rows().len(), 1);
        if !member.step(1) {
            break;
        }
    }
}

/// etcd #18667: a range at a compacted revision inside a transaction must be an answer to the
/// client, before anything of the transaction is carried out, not the end of the member.
#[test]
fn etcd_18667_a_compacted_revision_in_a_transaction_is_refused_as_a_whole() {
    let mut member = Member::new(u64::MAX);
    (0..5).for_each(|n| _ = member.put("k", &n.to_string()));
    member.compact(5).unwrap();
    let txn = |revision| TxnRequest {
        success: [Request::RequestPut(put("new", "")), Request::RequestRange(at(revision))]
            .map(|request| RequestOp { request: Some(request) })
            .into(),
        ..Default::default()
    };
    assert_eq!(member.txn(txn(4)), Err(Error::Compacted));
    assert_eq!(member.txn(txn(7)), Err(Error::FutureRevision));
    assert_eq!(member.range(&get("new")).unwrap().count, 0);
    assert_eq!(member.store.current_revision(), 6);
    assert!(txn_reply(member.txn(txn(5))).succeeded);
    assert_eq!(member.store.current_revision(), 7);
}

/// etcd #17780: the revision must not go back when the member ends in the middle of a compaction.
#[test]
fn etcd_17780_a_restart_within_compaction_keeps_the_revision() {
    let mut member = Member::new(u64::MAX);
    member.put("k", "1");
    let deleted = member.delete("k");
    member.compact(deleted).unwrap();
    while member.step(1) {
        assert_eq!(member.restarted().store.current_revision(), deleted);
    }
    assert_eq!(member.restarted().store.current_revision(), deleted);
}

#[test]
fn a_stream_reads_its_revision_to_the_end_while_all_of_it_is_compacted_away() {
    let mut member = with_keys(3_000);
    let revision = member.store.current_revision();
    let mut stream = member.store.range_stream(all_keys(), HEADER, 3_000).unwrap();
    let mut keys = Vec::new();
    keys.extend(rows(stream.next().unwrap().unwrap()));
    let ops: Vec<_> = (0..3_000).map(|n| Op::Put(put(&format!("k{n:05}"), "2"))).collect();
    member.apply_all(&ops);
    member.compact(member.store.current_revision()).unwrap();
    while member.step(500) {}
    assert!(!member.store.read(Store::is_trimmed), "the stream holds removal back");
    stream.for_each(|chunk| keys.extend(rows(chunk.unwrap())));
    assert_eq!(keys.len(), 3_000);
    assert!(keys.iter().all(|kv| kv.mod_revision <= revision && kv.value == "1"));
    member.trim();
    assert_eq!(member.history.rows().len(), 3_000);
}

fn rows(chunk: bytes::Bytes) -> Vec<api::mvccpb::KeyValue> {
    RangeResponse::decode(chunk).unwrap().kvs
}

#[test]
fn a_stream_that_is_not_read_does_not_hold_removal_back_for_ever() {
    let mut member = with_keys(3_000);
    let mut stream = member.store.range_stream(all_keys(), HEADER, 3_000).unwrap();
    stream.next().unwrap().unwrap();
    for round in 0..3 {
        let ops: Vec<_> = (0..3_000).map(|n| Op::Put(put(&format!("k{n:05}"), "2"))).collect();
        member.apply_all(&ops);
        member.compact(member.store.current_revision()).unwrap();
        while member.step(500) {}
        assert_eq!(member.store.read(Store::is_trimmed), round == 2);
    }
    let last = stream.next().unwrap();
    assert!(matches!(last, Err(ReadError::Etcd(Error::Compacted))));
    assert!(stream.next().is_none());
}

#[test]
fn a_snapshot_installed_under_a_stream_ends_it() {
    let mut member = with_keys(3_000);
    let mut stream = member.store.range_stream(all_keys(), HEADER, 3_000).unwrap();
    stream.next().unwrap().unwrap();
    let mut loader = Store::loader(quorate_store::Options::default());
    for (revision, kind, record) in member.history.rows() {
        loader.row(revision, kind, record);
    }
    member.store.replace(loader.finish());
    assert!(matches!(stream.next(), Some(Err(ReadError::Etcd(Error::Compacted)))));
    member.put("k", "");
    assert_eq!(member.range(&all_keys()).unwrap().count, 3_001);
}

#[test]
fn a_step_removes_no_more_than_asked() {
    let mut member = Member::new(u64::MAX);
    (0..100).for_each(|n| _ = member.put("k", &n.to_string()));
    member.compact(member.store.current_revision()).unwrap();
    let mut changes = Vec::new();
    assert!(member.store.compact_step(7, &mut changes));
    let expected: Vec<_> = (2..9).map(|main| Revision::new(main, 0)).collect();
    assert_eq!(changes, [Change::RowsRemoved(expected)]);
}

/// A key deleted and written again in one transaction (etcd lets a deletion "from this key on"
/// stand beside a put) has two rows of one revision. Compacted exactly there, the deletion was
/// counted as in use but removed, and the quota depended on how far removal had got.
#[test]
fn rows_of_one_key_and_one_transaction_are_counted_as_they_are_removed() {
    let mut member = Member::new(u64::MAX);
    member.put("k", "1");
    let delete = Request::RequestDeleteRange(common::member::delete("k", "\0"));
    let both = [delete, Request::RequestPut(put("k", "2"))];
    let request = TxnRequest {
        success: both.map(|request| RequestOp { request: Some(request) }).into(),
        ..Default::default()
    };
    member.txn(request).unwrap();
    let bytes = |member: &Member| -> usize {
        member.history.rows().iter().map(|(.., record)| record.as_bytes().len()).sum()
    };
    for (compacted, rows) in [(3, 2), (4, 1)] {
        if compacted == 4 {
            member.put("other", "");
        }
        member.compact(compacted).unwrap();
        member.trim();
        assert_eq!(member.store.read(Store::bytes_in_use), bytes(&member) as u64);
        let kept = member.history.rows();
        assert_eq!(kept.iter().filter(|(.., row)| row.view().key == b"k").count(), rows);
    }
    assert_eq!(member.restarted().store.hash_kv(0).unwrap(), member.store.hash_kv(0).unwrap());
}
