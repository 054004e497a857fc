//! Readers beside the writer, physical compaction and eviction.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{RangeRequest, RangeResponse, RequestOp, TxnRequest};
use common::member::{HEADER, Member, all_keys, put};
use prost::Message;
use quorate_store::{Op, ReadError};

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

#[test]
fn long_ranges_see_one_revision_while_everything_moves() {
    const FILLERS: usize = 3_000;
    const WRITES: usize = 2_000;
    let mut member = Member::new(50_000);
    let ops: Vec<_> = (0..FILLERS).map(|n| Op::Put(put(&format!("k{n:05}"), "filler"))).collect();
    member.apply_all(&ops);
    member.apply(both_ends(0)).unwrap();
    let (store, done) = (member.store.clone(), AtomicBool::new(false));
    thread::scope(|scope| {
        let reader = |sorted: bool| {
            let (store, done) = (&store, &done);
            move || {
                let order = if sorted { 2 } else { 0 };
                let request = RangeRequest { sort_order: order, ..all_keys() };
                let mut rounds = 0;
                while !done.load(Ordering::Relaxed) || rounds == 0 {
                    match store.range(&request, &HEADER) {
                        Ok(encoded) => {
                            let response = RangeResponse::decode(encoded).unwrap();
                            assert_of_one_revision(&response, FILLERS + 2);
                            rounds += 1;
                        }
                        // Compactions come here as fast as they can; two of them end a reader.
                        Err(ReadError::Etcd(error)) => assert_eq!(error, api::Error::Compacted),
                        Err(ReadError::History(error)) => panic!("{error}"),
                    }
                }
            }
        };
        scope.spawn(reader(false));
        scope.spawn(reader(true));
        for value in 1..WRITES {
            member.apply(both_ends(value)).unwrap();
            if value % 40 == 0 {
                let filler = put(&format!("k{:05}", value * 7), "again");
                member.apply(Op::Put(filler)).unwrap();
                member.compact(member.store.current_revision()).unwrap();
            }
            member.step(100);
        }
        done.store(true, Ordering::Relaxed);
    });
    member.compact(member.store.current_revision()).unwrap();
    member.trim();
    assert_eq!(member.history.rows().len(), FILLERS + 2);
}
