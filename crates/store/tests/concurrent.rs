//! Readers beside the writer, physical compaction and eviction.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{RangeRequest, RangeResponse, RequestOp, TxnRequest};
use common::member::{HEADER, Member, all_keys, put};
use prost::Message;
use quorate_store::{Op, SharedStore};

/// First and last key, with several holds of the lock between them, written together.
fn both_ends(value: usize) -> Op {
    let put = |key| {
        let request = Some(Request::RequestPut(put(key, &value.to_string())));
        RequestOp { request }
    };
    Op::Txn(TxnRequest { success: vec![put("a"), put("z")], ..Default::default() })
}

fn assert_of_one_revision(response: &RangeResponse, keys: usize) {
    assert_eq!((response.kvs.len(), response.count), (keys, keys as i64));
    let (first, last) = (&response.kvs[0], &response.kvs[keys - 1]);
    assert_eq!((&first.value, first.mod_revision), (&last.value, last.mod_revision));
}

const FILLERS: usize = 3_000;

/// Ranges each reader must have completed beside the writer.
const ROUNDS: usize = 15;

/// Writes after which the test gives up waiting for the readers.
const WRITES_MAX: usize = 5_000_000;

/// Reads everything, in order of key or sorted, until told to stop.
fn read_all(store: &SharedStore, sort_order: i32, rounds: &AtomicUsize, done: &AtomicBool) {
    let request = RangeRequest { sort_order, ..all_keys() };
    while !done.load(Ordering::Relaxed) {
        let encoded = store.range(&request, &HEADER).unwrap();
        assert_of_one_revision(&RangeResponse::decode(encoded).unwrap(), FILLERS + 2);
        rounds.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn long_ranges_see_one_revision_while_everything_moves() {
    let mut member = Member::new(50_000);
    let ops: Vec<_> = (0..FILLERS).map(|n| Op::Put(put(&format!("k{n:05}"), "filler"))).collect();
    member.apply_all(&ops);
    member.apply(both_ends(0)).unwrap();
    let store = member.store.clone();
    let (done, rounds) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    thread::scope(|scope| {
        scope.spawn(|| read_all(&store, 0, &rounds[0], &done));
        scope.spawn(|| read_all(&store, 2, &rounds[1], &done));
        let mut compacted_in = [0; 2];
        for value in 1..WRITES_MAX {
            member.apply(both_ends(value)).unwrap();
            let now = [0, 1].map(|reader| rounds[reader].load(Ordering::Relaxed));
            // Twice within one range would end it; so each reader completes one in between.
            if now[0] > compacted_in[0] && now[1] > compacted_in[1] {
                compacted_in = now;
                let filler = put(&format!("k{:05}", value % FILLERS), "again");
                member.apply(Op::Put(filler)).unwrap();
                member.compact(member.store.current_revision()).unwrap();
            }
            member.step(100);
            if now.iter().all(|rounds| *rounds >= ROUNDS) {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(rounds.iter().all(|rounds| rounds.load(Ordering::Relaxed) >= ROUNDS));
    let last = member.put("k00000", "last");
    member.compact(last).unwrap();
    member.trim();
    assert_eq!(member.history.rows().len(), FILLERS + 2);
}
