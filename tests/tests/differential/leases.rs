//! Lease ids that the server chose: both servers choose others, the sequence calls them by number.

use quorate_tests::pb;

/// The first lease whose id the server chose is called this, the next one more. No server chooses
/// ids so small, and no sequence names one so large.
pub const CHOSEN: i64 = 1_000_000;

/// The ids one server has chosen so far, in order.
#[derive(Debug, Default)]
pub struct Leases {
    chosen: Vec<i64>,
}

impl Leases {
    /// Remembers an id the server chose.
    pub fn chose(&mut self, id: i64) {
        self.chosen.push(id);
    }

    /// What the sequence calls `name`, as this server knows it.
    pub fn id(&self, name: i64) -> i64 {
        let number = usize::try_from(name - CHOSEN).ok();
        number.and_then(|number| self.chosen.get(number)).copied().unwrap_or(name)
    }

    /// What the sequence calls the lease this server knows as `id`.
    pub fn name(&self, id: i64) -> i64 {
        match self.chosen.iter().position(|&chosen| chosen == id) {
            Some(number) => CHOSEN + number as i64,
            None => id,
        }
    }

    /// The transaction with the ids of this server.
    pub fn in_txn(&self, mut txn: pb::TxnRequest) -> pb::TxnRequest {
        for compare in &mut txn.compare {
            if let Some(pb::CompareWith::Lease(lease)) = &mut compare.with {
                *lease = self.id(*lease);
            }
        }
        for op in txn.success.iter_mut().chain(&mut txn.failure) {
            op.request = op.request.take().map(|request| match request {
                pb::Request::Put(put) => pb::Request::Put(self.in_put(put)),
                pb::Request::Txn(nested) => pb::Request::Txn(self.in_txn(nested)),
                other => other,
            });
        }
        txn
    }

    /// The put with the id of this server.
    pub fn in_put(&self, put: pb::PutRequest) -> pb::PutRequest {
        pb::PutRequest { lease: self.id(put.lease), ..put }
    }
}
