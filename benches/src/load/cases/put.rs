//! Puts, bare or as a transaction of one.

use crate::load::Order;
use crate::load::requests;
use crate::load::worker::Worker;
use crate::wire::{Fields, Keep, Method};

pub async fn client(worker: &Worker, number: usize, as_txn: bool) {
    let (channel, keyspace) = (worker.channel(number), &worker.workload.keyspace);
    let mut rng = worker.rng(number);
    worker.ready().await;
    while let Some(started) = worker.next().await {
        let key = keyspace.key(match keyspace.order {
            Order::Random => keyspace.random(&mut rng),
            Order::Sequential => worker.shared.numbers(1) % keyspace.count,
        });
        let outcome = if as_txn {
            let frame = requests::put_all(std::iter::once(key), &worker.value);
            let reply = channel.call(Method::Txn, frame, Keep::Head).await;
            reply.and_then(|reply| succeeded(&reply.message))
        } else {
            let frame = requests::put(key, worker.value.clone());
            channel.call(Method::Put, frame, Keep::Head).await.map(drop)
        };
        worker.settle(started, &outcome).await;
    }
}

/// A transaction without a condition always takes its first branch.
pub fn succeeded(txn_response: &[u8]) -> Result<(), crate::wire::CallError> {
    match Fields::number(txn_response, 2) {
        Some(1) => Ok(()),
        _ => Err(crate::wire::CallError::Reply("unconditional transaction did not succeed")),
    }
}
