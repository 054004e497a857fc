//! Fills the keyspace with transactions of sequential puts, once.

use std::time::Instant;

use crate::load::cases::put::succeeded;
use crate::load::requests;
use crate::load::worker::Worker;
use crate::wire::{Keep, Method};

/// Times a transaction is tried before its keys count as missing.
const TRIES_MAX: u32 = 3;

pub async fn client(worker: &Worker, number: usize, keys_per_txn: u64) {
    worker.ready().await;
    while worker.next().await.is_some() {
        let first = worker.shared.numbers(keys_per_txn);
        if first >= worker.workload.keyspace.count {
            return;
        }
        let end = worker.workload.keyspace.count.min(first + keys_per_txn);
        for _ in 0..TRIES_MAX {
            if put_range(worker, number, first, end).await {
                break;
            }
        }
    }
}

async fn put_range(worker: &Worker, number: usize, first: u64, end: u64) -> bool {
    let started = Instant::now();
    let keys = (first..end).map(|key| worker.workload.keyspace.key(key));
    let frame = requests::put_all(keys, &worker.value);
    let reply = worker.channel(number).call(Method::Txn, frame, Keep::Head).await;
    let outcome = reply.and_then(|reply| succeeded(&reply.message));
    worker.settle_many(started, &outcome, end - first).await;
    outcome.is_ok()
}
