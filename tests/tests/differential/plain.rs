//! Answers without what must differ between two servers: identities, terms, chosen lease ids, and
//! the seconds that have passed.

use std::fmt::Debug;

use quorate_tests::{Answer, pb};

use crate::leases::Leases;

/// A lease of which less than this has passed counts as untouched, seconds; runs are shorter.
const TTL_PASSED_S_MAX: i64 = 90;

/// An answer that can be made comparable.
pub trait Plain {
    /// Takes out what must differ.
    fn plain(&mut self, leases: &Leases);
}

/// What a server said, for comparison: the plain answer, or code and text of the error.
pub fn said<T: Plain + Debug>(answer: Answer<T>, leases: &Leases) -> String {
    match answer {
        Ok(mut answer) => {
            answer.plain(leases);
            format!("{answer:?}")
        }
        Err(status) => format!("{:?}: {}", status.code(), status.message()),
    }
}

/// Only whether a field is set stays.
fn header(header: &mut Option<pb::Header>) {
    if let Some(header) = header {
        header.cluster_id = header.cluster_id.min(1);
        header.member_id = header.member_id.min(1);
        header.raft_term = header.raft_term.min(1);
    }
}

impl Plain for pb::KeyValue {
    fn plain(&mut self, leases: &Leases) {
        self.lease = leases.name(self.lease);
    }
}

impl Plain for pb::Event {
    fn plain(&mut self, leases: &Leases) {
        self.kv.iter_mut().chain(&mut self.prev_kv).for_each(|kv| kv.plain(leases));
    }
}

impl Plain for pb::RangeResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.kvs.iter_mut().for_each(|kv| kv.plain(leases));
    }
}

impl Plain for pb::PutResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.prev_kv.iter_mut().for_each(|kv| kv.plain(leases));
    }
}

impl Plain for pb::DeleteRangeResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.prev_kvs.iter_mut().for_each(|kv| kv.plain(leases));
    }
}

impl Plain for pb::TxnResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        for op in &mut self.responses {
            match &mut op.response {
                Some(pb::Response::Range(range)) => range.plain(leases),
                Some(pb::Response::Put(put)) => put.plain(leases),
                Some(pb::Response::DeleteRange(delete)) => delete.plain(leases),
                Some(pb::Response::Txn(nested)) => nested.plain(leases),
                None => {}
            }
        }
    }
}

impl Plain for pb::HeaderOnly {
    fn plain(&mut self, _: &Leases) {
        header(&mut self.header);
    }
}

impl Plain for pb::LeaseGrantResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.id = leases.name(self.id);
    }
}

impl Plain for pb::LeaseKeepAliveResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.id = leases.name(self.id);
    }
}

impl Plain for pb::LeaseTimeToLiveResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.id = leases.name(self.id);
        if self.ttl > 0 && (0..TTL_PASSED_S_MAX).contains(&(self.granted_ttl - self.ttl)) {
            self.ttl = self.granted_ttl;
        }
        // etcd gives them in the order of a hash map.
        self.keys.sort();
    }
}

impl Plain for pb::LeaseLeasesResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        for lease in &mut self.leases {
            lease.id = leases.name(lease.id);
        }
    }
}

impl Plain for pb::WatchResponse {
    fn plain(&mut self, leases: &Leases) {
        header(&mut self.header);
        self.events.iter_mut().for_each(|event| event.plain(leases));
        // Releases before 3.6 give no reason for this one.
        if self.cancel_reason == "mvcc: watcher range is empty" {
            self.cancel_reason.clear();
        }
        // The header of such a cancellation is empty up to 3.5 and full from 3.6 on.
        if self.canceled && !self.created && self.compact_revision != 0 {
            self.header = None;
        }
    }
}
