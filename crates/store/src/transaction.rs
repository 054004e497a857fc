//! One write transaction: changes that share a main revision.

use api::etcdserverpb::{DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse};
use bytes::Bytes;

use crate::apply::header;
use crate::change::{Change, Previous, Row, RowKind};
use crate::history::{History, HistoryError};
use crate::ids::{LeaseId, Revision};
use crate::index::{Bounds, Entry, NewVersion};
use crate::record::{Record, RecordView};
use crate::store::Store;

/// Changes the store; later operations see earlier ones. There is no way back: whatever can be
/// refused is refused before the first change.
pub(crate) struct Transaction<'a> {
    pub store: &'a mut Store,
    pub history: &'a dyn History,
    changes: &'a mut Vec<Change>,
    /// The revision the changes get.
    main: i64,
    /// Changes so far.
    sub: i64,
}

impl<'a> Transaction<'a> {
    pub fn begin(
        store: &'a mut Store,
        history: &'a dyn History,
        changes: &'a mut Vec<Change>,
    ) -> Self {
        let main = store.current + 1;
        Self { store, history, changes, main, sub: 0 }
    }

    /// The revision is consumed only if something changed.
    pub fn end(self) -> i64 {
        let revision = self.revision();
        self.store.current = revision;
        revision
    }

    /// The revision as of now: one more than before once something has changed.
    pub fn revision(&self) -> i64 {
        self.main - i64::from(self.sub == 0)
    }

    /// Writes one key. The request has been checked against the state before the transaction; a
    /// key that an earlier operation of it deleted counts as empty and without lease.
    pub fn put(&mut self, request: &PutRequest) -> Result<PutResponse, HistoryError> {
        let kept = if request.ignore_value { self.newest(&request.key)? } else { None };
        let value = kept.as_ref().map_or(request.value.as_ref(), |kept| kept.view().value);
        let revision = self.next_revision();
        let written = self.store.set(&request.key, |entry| {
            let entry = entry.filter(|entry| entry.is_live());
            next_version(request, entry, value, revision)
        });
        let row = written.into_row(revision, RowKind::Put);
        let prev_kv = match request.prev_kv {
            true => previous(&row, self.history)?.map(|record| record.to_key_value()),
            false => None,
        };
        self.changes.push(Change::Row(row));
        Ok(PutResponse { header: header(self.revision()), prev_kv })
    }

    fn newest(&self, key: &[u8]) -> Result<Option<Record>, HistoryError> {
        let entry = self.store.live(key);
        entry.map(|entry| self.store.load(entry, self.history)).transpose()
    }

    /// Deletes the keys of a range, in order.
    pub fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse, HistoryError> {
        let mut prev_kvs = Vec::new();
        let keys = self.live_keys(&Bounds::new(&request.key, &request.range_end));
        for key in &keys {
            let history = self.history;
            let row = self.delete(key);
            if request.prev_kv {
                let previous = previous(row, history)?.expect("the key was live");
                prev_kvs.push(previous.to_key_value());
            }
        }
        Ok(DeleteRangeResponse {
            header: header(self.revision()),
            deleted: keys.len() as i64,
            prev_kvs,
        })
    }

    /// Deletes one key that exists.
    pub fn delete(&mut self, key: &[u8]) -> &Row {
        let revision = self.next_revision();
        let written = self.store.set(key, |_| NewVersion {
            revision,
            create: 0,
            version: 0,
            lease: LeaseId::NONE,
            record: Record::tombstone(key, revision.main),
        });
        self.changes.push(Change::Row(written.into_row(revision, RowKind::Delete)));
        match self.changes.last() {
            Some(Change::Row(row)) => row,
            _ => unreachable!("pushed above"),
        }
    }

    fn live_keys(&self, bounds: &Bounds) -> Vec<Bytes> {
        if bounds.single {
            return Vec::from_iter(self.store.exists(&bounds.start).then(|| bounds.start.clone()));
        }
        self.store
            .index
            .entries(bounds)
            .filter(|entry| entry.is_live())
            .map(|entry| Bytes::copy_from_slice(entry.key()))
            .collect()
    }

    fn next_revision(&mut self) -> Revision {
        let revision = Revision::new(self.main, self.sub);
        self.sub += 1;
        revision
    }
}

/// The record that a row replaced.
fn previous(row: &Row, history: &dyn History) -> Result<Option<Record>, HistoryError> {
    Ok(match &row.previous {
        Previous::None => None,
        Previous::Hot(record) => Some(record.clone()),
        Previous::Cold(revision) => Some(history.load(*revision)?),
    })
}

fn next_version(
    request: &PutRequest,
    entry: Option<&Entry>,
    value: &[u8],
    revision: Revision,
) -> NewVersion {
    let create = entry.map_or(revision.main, Entry::create);
    let version = entry.map_or(0, Entry::version) + 1;
    let lease = match entry {
        Some(entry) if request.ignore_lease => entry.lease(),
        _ => LeaseId(request.lease),
    };
    let record = Record::encode(&RecordView {
        key: &request.key,
        create_revision: create,
        mod_revision: revision.main,
        version,
        value,
        lease,
    });
    NewVersion { revision, create, version, lease, record }
}
