//! Enough keys for many leaves of the index and many holds of the lock.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use api::etcdserverpb::RangeRequest;
use common::member::{HEADER, Member, all_keys, delete, put};
use common::model::Model;
use proptest::prelude::*;
use prost::Message;
use quorate_store::{Op, Store};

const KEYS: usize = 4000;

/// A permutation without a random generator: the multiplier shares no factor with the modulus.
fn scattered(index: usize) -> String {
    format!("key/{:05}", index * 1_237 % 4_001)
}

/// Puts all keys in scattered order, overwrites every third, deletes the middle.
fn script() -> Vec<Op> {
    let mut ops: Vec<_> =
        (0..KEYS).map(|n| Op::Put(put(&scattered(n), &format!("value {n}")))).collect();
    ops.extend((0..KEYS).step_by(3).map(|n| Op::Put(put(&scattered(n), "second"))));
    ops.push(Op::DeleteRange(delete("key/01000", "key/03500")));
    ops.extend((0..50).map(|n| Op::Put(put(&format!("key/02{n:03}"), "third"))));
    ops
}

fn both(budget: u64) -> (Member, Model) {
    let (mut member, mut model) = (Member::new(budget), Model::new());
    for ops in script().chunks(500) {
        let expected: Vec<_> = ops.iter().map(|op| model.apply(op)).collect();
        assert_eq!(member.apply_all(ops), expected);
    }
    (member, model)
}

fn some_ranges(current: i64) -> Vec<RangeRequest> {
    let mut requests = Vec::new();
    for (key, range_end) in
        [("\0", "\0"), ("key/00500", "key/00600"), ("key/009", "key/036"), ("key/02", "\0")]
    {
        for revision in [0, 2, 1_500, 4_001, 4_500, current - 51, current - 50, current - 20] {
            for limit in [0, 1, 1_200] {
                requests.push(RangeRequest {
                    key: key.into(),
                    range_end: range_end.into(),
                    revision,
                    limit,
                    ..Default::default()
                });
            }
        }
    }
    requests
}

fn assert_same(member: &Member, model: &Model, request: &RangeRequest) {
    let expected = model.range(request).map(|mut response| {
        let revision = response.header.unwrap().revision;
        response.header = Some(api::etcdserverpb::ResponseHeader { revision, ..HEADER });
        response
    });
    assert_eq!(member.range(request), expected, "{request:?}");
}

#[test]
fn ranges_over_many_leaves_are_those_of_the_model() {
    let (member, model) = both(u64::MAX);
    some_ranges(model.current).iter().for_each(|request| assert_same(&member, &model, request));
}

#[test]
fn ranges_over_many_leaves_survive_eviction_compaction_and_restart() {
    let (mut member, mut model) = both(20_000);
    assert!(member.store.read(Store::hot_bytes) < 300_000, "one slice at most above the budget");
    let compact = Op::Compact(api::etcdserverpb::CompactionRequest {
        revision: model.current - 30,
        physical: false,
    });
    assert_eq!(member.apply(compact.clone()), model.apply(&compact));
    for request in some_ranges(model.current) {
        member.step(7);
        assert_same(&member, &model, &request);
    }
    member.trim();
    let restarted = member.restarted();
    for request in some_ranges(model.current) {
        assert_same(&member, &model, &request);
        assert_same(&restarted, &model, &request);
    }
    assert_eq!(member.store.hash_kv(0).unwrap(), restarted.store.hash_kv(0).unwrap());
}

#[test]
fn a_sorted_range_takes_several_holds_of_the_lock() {
    let (member, model) = both(20_000);
    for (sort_order, sort_target) in [(2, 0), (1, 3), (2, 4), (0, 1)] {
        for revision in [0, 4_100] {
            let request = RangeRequest {
                sort_order,
                sort_target,
                revision,
                limit: 2_100,
                min_mod_revision: 20,
                ..all_keys()
            };
            assert_same(&member, &model, &request);
        }
    }
}

#[test]
fn everything_deleted_and_compacted_leaves_nothing() {
    let (mut member, _) = both(u64::MAX);
    member.apply(Op::DeleteRange(delete("\0", "\0"))).unwrap();
    let last = member.put("z", "");
    member.compact(last).unwrap();
    member.trim();
    assert_eq!(member.history.rows().len(), 1);
    assert_eq!(member.store.read(Store::keys_total), 1);
    assert_eq!(member.range(&all_keys()).unwrap().kvs.len(), 1);
}

#[test]
fn a_quick_range_gives_up_rather_than_take_long_or_wait() {
    let (member, _) = both(u64::MAX);
    let quick = |request: &RangeRequest, rows_max| {
        member.store.range_quick(request, &HEADER, rows_max).unwrap()
    };
    assert!(quick(&all_keys(), 1_000).is_none());
    assert!(quick(&RangeRequest { sort_order: 2, limit: 1, ..all_keys() }, 1_000).is_none());
    assert!(quick(&RangeRequest { count_only: true, ..all_keys() }, 0).is_some());
    let limited = RangeRequest { limit: 1_000, ..all_keys() };
    assert_eq!(quick(&limited, 1_000).unwrap(), member.store.range(&limited, &HEADER).unwrap());
    // An old revision is in the history only.
    assert!(quick(&RangeRequest { revision: 100, limit: 1, ..all_keys() }, 1_000).is_none());
    // Evicted rows need not be read for their keys alone.
    let (mut cold, _) = both(0);
    cold.apply_all(&[]);
    let keys = RangeRequest { keys_only: true, ..limited };
    assert!(cold.store.range_quick(&limited_of(&keys), &HEADER, 1_000).unwrap().is_none());
    assert!(cold.store.range_quick(&keys, &HEADER, 1_000).unwrap().is_some());
}

fn limited_of(keys: &RangeRequest) -> RangeRequest {
    RangeRequest { keys_only: false, ..keys.clone() }
}

#[test]
fn a_stream_starts_small_grows_and_counts_at_the_end() {
    let (member, _) = both(u64::MAX);
    let chunks = member.store.range_stream(all_keys(), HEADER, 20_000).unwrap();
    let decoded: Vec<_> = chunks
        .map(|chunk| api::etcdserverpb::RangeResponse::decode(chunk.unwrap()).unwrap())
        .collect();
    assert_eq!(decoded[0].kvs.len(), 10);
    assert_eq!(decoded[1].kvs.len(), 20);
    assert!(decoded.iter().all(|chunk| chunk.encoded_len() < 40_000));
    let (last, before) = decoded.split_last().unwrap();
    assert!(before.iter().all(|chunk| chunk.header.is_none() && chunk.count == 0));
    let rows: usize = decoded.iter().map(|chunk| chunk.kvs.len()).sum();
    assert_eq!(last.count, rows as i64);
    assert_eq!(last.header.unwrap().revision, member.store.current_revision());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn counts_add_up_at_every_revision(
        steps in proptest::collection::vec((0..1500usize, 0..40usize, any::<bool>()), 50..400),
        at in any::<[proptest::sample::Index; 8]>(),
    ) {
        let (mut member, mut model) = (Member::new(u64::MAX), Model::new());
        for (start, length, delete_them) in steps {
            let ops: Vec<_> = if delete_them {
                let (from, to) = (format!("{start:05}"), format!("{:05}", start + length));
                vec![Op::DeleteRange(delete(&from, &to))]
            } else {
                (start..start + length).map(|n| Op::Put(put(&format!("{n:05}"), ""))).collect()
            };
            ops.iter().for_each(|op| drop(model.apply(op)));
            member.apply_all(&ops);
        }
        for index in at {
            let revision = 1 + index.index(model.current as usize) as i64;
            let request = RangeRequest {
                key: format!("{:05}", revision % 900).into(),
                range_end: format!("{:05}", 900 + revision % 700).into(),
                revision,
                count_only: true,
                ..Default::default()
            };
            assert_same(&member, &model, &request);
        }
    }
}
