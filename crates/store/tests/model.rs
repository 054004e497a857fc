//! The store against the naive model: whatever clients do, at whatever revision they look, with
//! whatever memory, after whatever progress of compaction, and after a restart.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use api::etcdserverpb::{RangeRequest, RangeResponse};
use common::member::{HEADER, Member, all_keys};
use common::model::Model;
use common::requests;
use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;
use quorate_store::{Op, RowKind, Store};

/// Applies `ops` in slices to a member and to the model; with `step_rows`, physical compaction
/// takes a step after every slice.
fn run(ops: &[Op], budget: u64, slice: usize, step_rows: usize) -> (Member, Model) {
    let (mut member, mut model) = (Member::new(budget), Model::new());
    for ops in ops.chunks(slice) {
        let expected: Vec<_> = ops.iter().map(|op| model.apply(op)).collect();
        assert_eq!(member.apply_all(ops), expected);
        if step_rows > 0 {
            member.step(step_rows);
        }
    }
    (member, model)
}

fn with_our_header(mut response: RangeResponse) -> RangeResponse {
    let revision = response.header.unwrap().revision;
    response.header = Some(api::etcdserverpb::ResponseHeader { revision, ..HEADER });
    response
}

fn assert_same_answers(member: &Member, model: &Model, ranges: &[RangeRequest]) {
    for request in ranges {
        let expected = model.range(request).map(with_our_header);
        assert_eq!(member.range(request), expected, "{request:?}");
        let quick = member.store.range_quick(request, &HEADER, 1000);
        if let Ok(Some(encoded)) = quick {
            assert_eq!(RangeResponse::decode(encoded).map_err(|_| api::Error::Stopped), expected);
        }
    }
    for revision in 1..=model.current {
        let request = RangeRequest { revision, ..all_keys() };
        assert_eq!(member.range(&request), model.range(&request).map(with_our_header));
    }
}

fn assert_same_state(member: &Member, model: &Model) {
    assert_eq!(member.store.current_revision(), model.current);
    assert_eq!(member.store.compact_revision(), model.compacted);
    member.store.read(|store: &Store| {
        assert_eq!(store.keys_total(), model.live_now());
        let leases: Vec<_> = store.leases().into_iter().map(|(id, ttl)| (id.0, ttl)).collect();
        assert_eq!(leases, model.leases());
        for (id, _) in store.leases() {
            assert_eq!(store.lease(id).unwrap().keys, model.lease_keys(id.0));
        }
    });
}

/// After trimming, the database holds exactly what compaction leaves, and that is what the quota
/// counts.
fn assert_trimmed_to_the_reachable(member: &mut Member, model: &Model) {
    let in_use = member.store.read(Store::bytes_in_use);
    member.trim();
    let rows = member.history.rows();
    let bytes: usize = rows.iter().map(|(.., record)| record.as_bytes().len()).sum();
    assert_eq!(in_use, bytes as u64);
    assert_eq!(member.store.read(Store::bytes_in_use), in_use);
    let latest: std::collections::BTreeSet<_> = rows
        .iter()
        .map(|(revision, kind, record)| {
            let key = bytes::Bytes::copy_from_slice(record.view().key);
            (revision.main, *kind == RowKind::Delete, key)
        })
        .collect();
    assert_eq!(latest, model.reachable());
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    vec(requests::op(), 1..60)
}

fn ranges() -> impl Strategy<Value = Vec<RangeRequest>> {
    vec(requests::range(), 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn answers_are_those_of_the_model(ops in ops(), ranges in ranges(), slice in 1..8usize) {
        let (member, model) = run(&ops, u64::MAX, slice, 0);
        assert_same_state(&member, &model);
        assert_same_answers(&member, &model, &ranges);
    }

    #[test]
    fn memory_and_progress_of_compaction_change_no_answer(
        ops in ops(),
        ranges in ranges(),
        budget in prop_oneof![Just(0u64), 1..400u64],
        slice in 1..8usize,
        step_rows in 0..4usize,
    ) {
        let (mut member, model) = run(&ops, budget, slice, step_rows);
        assert_same_state(&member, &model);
        assert_same_answers(&member, &model, &ranges);
        assert_trimmed_to_the_reachable(&mut member, &model);
        assert_same_answers(&member, &model, &ranges);
    }

    #[test]
    fn a_restart_changes_no_answer(
        ops in ops(),
        more in ops(),
        ranges in ranges(),
        budget in prop_oneof![Just(u64::MAX), 0..400u64],
        step_rows in 0..4usize,
    ) {
        let (member, mut model) = run(&ops, budget, 3, step_rows);
        let mut restarted = member.restarted();
        prop_assert_eq!(
            restarted.store.read(Store::bytes_in_use),
            member.store.read(Store::bytes_in_use)
        );
        assert_same_state(&restarted, &model);
        assert_same_answers(&restarted, &model, &ranges);
        for op in &more {
            prop_assert_eq!(restarted.apply(op.clone()), model.apply(op));
        }
        assert_same_state(&restarted, &model);
        assert_same_answers(&restarted, &model, &ranges);
        assert_trimmed_to_the_reachable(&mut restarted, &model);
    }

    #[test]
    fn hashes_agree_whatever_a_member_holds_or_has_removed(
        ops in ops(),
        budget in 0..400u64,
        step_rows in 1..4usize,
    ) {
        let (mut one, model) = run(&ops, u64::MAX, 7, 0);
        let (two, _) = run(&ops, budget, 1, step_rows);
        let three = two.restarted();
        let from = model.compacted.max(1);
        let hashes = |member: &Member| -> Vec<_> {
            let revisions = std::iter::once(0).chain(from..=model.current);
            revisions.map(|revision| member.store.hash_kv(revision).unwrap()).collect()
        };
        let expected = hashes(&one);
        prop_assert_eq!(&hashes(&two), &expected);
        prop_assert_eq!(&hashes(&three), &expected);
        one.trim();
        prop_assert_eq!(&hashes(&one), &expected);
        let in_use = |member: &Member| member.store.read(Store::bytes_in_use);
        prop_assert_eq!(in_use(&one), in_use(&two));
    }

    #[test]
    fn a_stream_is_the_unary_answer_in_pieces(
        ops in ops(),
        mut request in requests::range(),
        budget in prop_oneof![Just(u64::MAX), 0..400u64],
        chunk_bytes_max in 1..200usize,
    ) {
        request.sort_order = 0;
        request.sort_target = 0;
        request.min_mod_revision = 0;
        request.max_mod_revision = 0;
        request.min_create_revision = 0;
        request.max_create_revision = 0;
        let (member, _) = run(&ops, budget, 5, 0);
        let expected = member.range(&request);
        let chunks = member.store.range_stream(request, HEADER, chunk_bytes_max);
        match (chunks, expected) {
            (Ok(chunks), Ok(expected)) => {
                let chunks: Vec<_> = chunks.map(|chunk| chunk.unwrap()).collect();
                let headers = chunks.iter().filter(|chunk| {
                    RangeResponse::decode((*chunk).clone()).unwrap().header.is_some()
                });
                prop_assert_eq!(headers.count(), 1);
                let whole: Vec<u8> = chunks.concat();
                prop_assert_eq!(RangeResponse::decode(whole.as_slice()).unwrap(), expected);
            }
            (Err(quorate_store::ReadError::Etcd(error)), Err(expected)) => {
                prop_assert_eq!(error, expected);
            }
            (_, expected) => prop_assert!(false, "expected {:?}", expected),
        }
    }
}
