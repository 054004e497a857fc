//! What watching needs to know of the member.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use api::etcdserverpb::{RangeRequest, RangeResponse, ResponseHeader};
use bytes::Bytes;
use prost::Message;
use store::watch::Past;
use store::{
    History, HistoryError, LeaseId, ReadError, Record, RecordView, Revision, RowKind, SharedStore,
};

/// The member, as the watch service sees it.
pub trait WatchSource: Send + Sync + 'static {
    /// What lies behind the watchers that catch up.
    fn past(&self) -> &dyn Past;

    /// Who answers, with the store's current revision and the current term.
    fn header(&self) -> ResponseHeader;

    /// Whether a leader is known.
    fn has_leader(&self) -> bool;

    /// Resolves when [`Self::has_leader`] may have changed since the call.
    fn leadership_changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;

    /// History could not be read: the member cannot go on.
    fn history_failed(&self, error: &HistoryError);
}

/// The store and its rows on disk as a [`Past`].
pub struct StorePast {
    store: Arc<SharedStore>,
    history: Arc<dyn History>,
}

impl StorePast {
    /// `history` must be the one the store was made with.
    pub fn new(store: Arc<SharedStore>, history: Arc<dyn History>) -> Self {
        Self { store, history }
    }

    /// The store.
    pub fn store(&self) -> &Arc<SharedStore> {
        &self.store
    }
}

impl Past for StorePast {
    fn compact_revision(&self) -> i64 {
        self.store.compact_revision()
    }

    fn load(&self, revision: Revision) -> Result<Option<Record>, HistoryError> {
        match self.history.load(revision) {
            Ok(record) => Ok(Some(record)),
            // Compaction may run between the event and this; what it removed nobody can expect.
            Err(HistoryError::Missing(_)) if revision.main <= self.compact_revision() => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn version_at(&self, key: &[u8], at: i64) -> Result<Option<Record>, HistoryError> {
        let request =
            RangeRequest { key: Bytes::copy_from_slice(key), revision: at, ..Default::default() };
        match self.store.range(&request, &ResponseHeader::default()) {
            Ok(encoded) => first_record(encoded),
            Err(ReadError::History(error)) => Err(error),
            // Compacted, which etcd answers with "no previous version" too.
            Err(ReadError::Etcd(_)) => Ok(None),
        }
    }

    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        self.history.scan(from, to, visit)
    }
}

/// The record of the first key of a range response the store has just encoded.
fn first_record(encoded: Bytes) -> Result<Option<Record>, HistoryError> {
    let response = RangeResponse::decode(encoded)
        .map_err(|error| HistoryError::Io(format!("a range answer does not parse: {error}")))?;
    Ok(response.kvs.first().map(|kv| {
        Record::encode(&RecordView {
            key: &kv.key,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            version: kv.version,
            value: &kv.value,
            lease: LeaseId(kv.lease),
        })
    }))
}
