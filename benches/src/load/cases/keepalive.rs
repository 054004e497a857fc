//! Renewals of leases: one lease and one stream per client, one renewal in flight.

use crate::load::cases::lease::Lease;
use crate::load::worker::Worker;

pub async fn client(worker: &Worker, number: usize) {
    let channel = worker.channel(number);
    let Some(mut lease) = worker.set_up(Lease::grant(channel)).await else { return };
    worker.ready().await;
    while let Some(started) = worker.next().await {
        let outcome = lease.renew().await;
        worker.settle(started, &outcome).await;
        if outcome.is_err()
            && let Err(error) = lease.reopen(channel).await
        {
            worker.broke(&error);
        }
    }
    lease.revoke(worker, channel).await;
}
