//! One change as watchers see it.

use std::sync::OnceLock;

use bytes::BufMut;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::change::{Previous, Row, RowKind};
use crate::ids::Revision;
use crate::record::Record;

/// `WatchResponse.events` (field 11), length-delimited.
const TAG_EVENTS: u8 = 11 << 3 | 2;
/// `Event.type` (field 1), a varint; absent for a put.
const TAG_TYPE: u8 = 1 << 3;
/// `EventType.DELETE`.
const TYPE_DELETE: u8 = 1;
/// `Event.kv` (field 2), length-delimited.
const TAG_KV: u8 = 2 << 3 | 2;
/// `Event.prev_kv` (field 3), length-delimited.
const TAG_PREV_KV: u8 = 3 << 3 | 2;

/// A put or a delete, shared by everyone who is to be told.
///
/// ```text
/// WatchResponse.events = 5a len | [08 01]  12 len record  [1a len previous record]
///                                 delete                   only if asked for
/// ```
#[derive(Debug)]
pub struct Event {
    revision: Revision,
    kind: RowKind,
    record: Record,
    /// What the key was one revision before. Unset while nobody has looked: a previous version that is not in
    /// memory is read only when a watcher wants it, outside the hub's lock.
    previous: OnceLock<Option<Record>>,
    /// Where the previous version lies, when the store said so.
    cold: Option<Revision>,
}

impl Event {
    /// The event of a row that was just applied.
    pub(super) fn from_row(row: &Row) -> Self {
        let (previous, cold) = match &row.previous {
            _ if is_second_change(row) => (OnceLock::new(), None),
            Previous::None => (OnceLock::from(None), None),
            Previous::Hot(record) => (OnceLock::from(Some(record.clone())), None),
            Previous::Cold(revision) => (OnceLock::new(), Some(*revision)),
        };
        Self { revision: row.revision, kind: row.kind, record: row.record.clone(), previous, cold }
    }

    /// Whether the event of a row will know its previous version without reading.
    pub(super) fn will_know_previous(row: &Row) -> bool {
        !matches!(row.previous, Previous::Cold(_)) && !is_second_change(row)
    }

    /// The event of a row read back from history.
    pub(super) fn from_history(revision: Revision, kind: RowKind, record: Record) -> Self {
        Self { revision, kind, record, previous: OnceLock::new(), cold: None }
    }

    /// Where in history.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Put or delete.
    pub fn kind(&self) -> RowKind {
        self.kind
    }

    /// The version written, or the tombstone.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Where the store said the previous version lies, if it was not in memory.
    pub(super) fn cold_previous(&self) -> Option<Revision> {
        self.cold
    }

    /// Whether a response with `prev_kv` could be written now.
    pub(super) fn knows_previous(&self) -> bool {
        self.previous.get().is_some()
    }

    /// Remembers the previous version; the first answer stays.
    pub(super) fn set_previous(&self, previous: Option<Record>) {
        let _ = self.previous.set(previous);
    }

    /// Bytes the event itself keeps alive, the same at all times: the previous version is left out
    /// because it may be found later.
    pub(super) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.record.memory_bytes()
    }

    /// Length of the event as a field of a response, bytes.
    pub(super) fn field_len(&self, with_previous: bool) -> usize {
        let body = self.body_len(with_previous);
        1 + encoded_len_varint(body as u64) + body
    }

    /// Appends the event as a field of a response.
    pub(super) fn encode_field(&self, with_previous: bool, out: &mut Vec<u8>) {
        out.put_u8(TAG_EVENTS);
        encode_varint(self.body_len(with_previous) as u64, out);
        if self.kind == RowKind::Delete {
            out.extend_from_slice(&[TAG_TYPE, TYPE_DELETE]);
        }
        put_message(TAG_KV, self.record.as_bytes(), out);
        if let Some(previous) = self.previous_record().filter(|_| with_previous) {
            put_message(TAG_PREV_KV, previous.as_bytes(), out);
        }
    }

    fn previous_record(&self) -> Option<&Record> {
        self.previous.get().and_then(Option::as_ref)
    }

    fn body_len(&self, with_previous: bool) -> usize {
        let kind = if self.kind == RowKind::Delete { 2 } else { 0 };
        let previous = self.previous_record().filter(|_| with_previous);
        kind + message_len(self.record.as_bytes())
            + previous.map_or(0, |record| message_len(record.as_bytes()))
    }
}

/// Whether the key was written earlier in the same revision. A transaction can do that (the checks
/// of etcd let a put and a deletion of all later keys pass); then the row replaces a version that
/// watchers must not see as the previous one: that is the one of the revision before.
fn is_second_change(row: &Row) -> bool {
    let main = row.revision.main;
    row.revision.sub > 0
        && match &row.previous {
            Previous::None => false,
            Previous::Hot(record) => record.view().mod_revision == main,
            Previous::Cold(revision) => revision.main == main,
        }
}

fn put_message(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.put_u8(tag);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn message_len(bytes: &[u8]) -> usize {
    1 + encoded_len_varint(bytes.len() as u64) + bytes.len()
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::WatchResponse;
    use prost::Message;

    use super::*;
    use crate::record::RecordView;

    fn put(value: &[u8]) -> Record {
        Record::encode(&RecordView {
            key: b"k",
            create_revision: 2,
            mod_revision: 5,
            version: 3,
            value,
            ..RecordView::default()
        })
    }

    fn decode(event: &Event, with_previous: bool) -> api::mvccpb::Event {
        let mut out = Vec::new();
        event.encode_field(with_previous, &mut out);
        assert_eq!(out.len(), event.field_len(with_previous));
        let mut response = WatchResponse::decode(&out[..]).unwrap();
        response.events.remove(0)
    }

    #[test]
    fn a_put_is_sent_as_its_record_with_the_previous_one_on_request() {
        let row = Row {
            revision: Revision::new(5, 0),
            kind: RowKind::Put,
            record: put(b"new"),
            previous: Previous::Hot(put(b"old")),
        };
        let event = Event::from_row(&row);
        assert_eq!(decode(&event, false).kv, Some(put(b"new").to_key_value()));
        assert_eq!(decode(&event, false).prev_kv, None);
        assert_eq!(decode(&event, true).prev_kv, Some(put(b"old").to_key_value()));
    }

    #[test]
    fn a_delete_carries_only_key_and_revision() {
        let record = Record::tombstone(b"k", 5);
        let event = Event::from_history(Revision::new(5, 0), RowKind::Delete, record.clone());
        let decoded = decode(&event, true);
        assert_eq!(decoded.r#type, 1);
        assert_eq!(decoded.kv, Some(record.to_key_value()));
        assert_eq!(decoded.prev_kv, None);
    }
}
