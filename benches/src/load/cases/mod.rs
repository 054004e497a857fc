//! One file per kind of load: what a client does until the run is over.

mod bulk;
mod keepalive;
mod lease;
mod mixed;
mod put;
mod read;
mod watch;

use std::rc::Rc;

use crate::load::worker::Worker;
use crate::load::workload::Case;

/// A client: sets itself up, waits for the others, makes calls until told to stop.
pub async fn client(worker: Rc<Worker>, number: usize) {
    let connecting = worker.channel(number).connect();
    if worker.set_up(connecting).await.is_none() {
        return;
    }
    match worker.workload.case {
        Case::Put => put::client(&worker, number, false).await,
        Case::Txn => put::client(&worker, number, true).await,
        Case::Get { serializable } => read::client(&worker, number, 1, serializable).await,
        Case::Range { keys, serializable } => {
            read::client(&worker, number, keys, serializable).await;
        }
        Case::Mixed { .. } => mixed::client(&worker, number).await,
        Case::LeaseKeepalive => keepalive::client(&worker, number).await,
        Case::Watch { .. } => watch::writer(&worker, number).await,
        Case::Bulk { keys_per_txn } => bulk::client(&worker, number, keys_per_txn).await,
    }
}

/// A watcher: opens a stream with its watches, says so, listens until it is dropped.
pub async fn watcher(worker: Rc<Worker>, number: usize) {
    match worker.workload.case {
        Case::Watch { watchers, streams } => {
            let watches = watchers / streams + usize::from(number < watchers % streams);
            watch::measure(&worker, number, watches).await;
        }
        _ => watch::drain(&worker, number).await,
    }
}
