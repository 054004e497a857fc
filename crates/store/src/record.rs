//! One version of one key, kept in the form clients receive.
//!
//! A record is the encoded `mvccpb.KeyValue`. It is made once, when the write is applied, and the
//! same bytes are the row on disk, the item of a range, the body of a watch event and the unit of
//! a snapshot: nothing is encoded twice (docs/decisions/0002-records-are-encoded-once.md).

use std::fmt;
use std::sync::Arc;

use api::mvccpb::KeyValue;
use bytes::Bytes;
use prost::encoding::{
    WireType, decode_key, decode_varint, encode_key, encode_varint, encoded_len_varint,
};
use thiserror::Error;

use crate::ids::LeaseId;

/// An encoded `mvccpb.KeyValue`; cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Record(Arc<[u8]>);

/// The fields of a [`Record`], borrowed from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordView<'a> {
    /// The key; never empty in a stored record.
    pub key: &'a [u8],
    /// Main revision of the key's creation; 0 in a tombstone.
    pub create_revision: i64,
    /// Main revision of this version.
    pub mod_revision: i64,
    /// Writes since creation, from 1; 0 in a tombstone.
    pub version: i64,
    /// The value; may be empty.
    pub value: &'a [u8],
    /// The lease the key is attached to.
    pub lease: LeaseId,
}

/// The bytes are not a `KeyValue`: a damaged row or a damaged snapshot.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not an encoded KeyValue")]
pub struct MalformedRecord;

const TAG_KEY: u32 = 1;
const TAG_CREATE: u32 = 2;
const TAG_MOD: u32 = 3;
const TAG_VERSION: u32 = 4;
const TAG_VALUE: u32 = 5;
const TAG_LEASE: u32 = 6;

impl Record {
    /// Encodes a version of a key in one allocation of exactly the right size.
    pub fn encode(view: &RecordView<'_>) -> Self {
        let mut bytes = Vec::with_capacity(view.encoded_len());
        view.write_to(&mut bytes);
        Self(bytes.into())
    }

    /// What a deletion leaves: the key and the revision of the deletion, nothing else.
    pub fn tombstone(key: &[u8], mod_revision: i64) -> Self {
        Self::encode(&RecordView { key, mod_revision, ..RecordView::default() })
    }

    /// Takes bytes that came from disk or from a peer.
    ///
    /// # Errors
    /// When they do not parse as a `KeyValue`.
    pub fn from_encoded(bytes: &[u8]) -> Result<Self, MalformedRecord> {
        RecordView::parse(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The encoded message.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Memory held by the record: the bytes and the reference counts before them.
    pub fn memory_bytes(&self) -> usize {
        self.0.len() + 2 * size_of::<usize>()
    }

    /// The fields.
    pub fn view(&self) -> RecordView<'_> {
        RecordView::parse(&self.0).expect("checked when the record was made")
    }

    /// The same record as a message of its own, for answers that are built field by field.
    pub fn to_key_value(&self) -> KeyValue {
        let view = self.view();
        KeyValue {
            key: Bytes::copy_from_slice(view.key),
            create_revision: view.create_revision,
            mod_revision: view.mod_revision,
            version: view.version,
            value: Bytes::copy_from_slice(view.value),
            lease: view.lease.0,
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({:?})", self.view())
    }
}

impl<'a> RecordView<'a> {
    /// Length of the encoded message, bytes.
    pub fn encoded_len(&self) -> usize {
        bytes_len(self.key)
            + int_len(self.create_revision)
            + int_len(self.mod_revision)
            + int_len(self.version)
            + bytes_len(self.value)
            + int_len(self.lease.0)
    }

    /// Appends the encoded message.
    pub(crate) fn write_to(&self, buffer: &mut Vec<u8>) {
        put_bytes(TAG_KEY, self.key, buffer);
        put_int(TAG_CREATE, self.create_revision, buffer);
        put_int(TAG_MOD, self.mod_revision, buffer);
        put_int(TAG_VERSION, self.version, buffer);
        put_bytes(TAG_VALUE, self.value, buffer);
        put_int(TAG_LEASE, self.lease.0, buffer);
    }

    /// Reads the fields without copying.
    ///
    /// # Errors
    /// When the bytes are not a `KeyValue`.
    pub fn parse(mut bytes: &'a [u8]) -> Result<Self, MalformedRecord> {
        let mut view = Self::default();
        while !bytes.is_empty() {
            let (tag, wire) = decode_key(&mut bytes).map_err(|_| MalformedRecord)?;
            match (tag, wire) {
                (TAG_KEY, WireType::LengthDelimited) => view.key = take_bytes(&mut bytes)?,
                (TAG_VALUE, WireType::LengthDelimited) => view.value = take_bytes(&mut bytes)?,
                (TAG_CREATE, WireType::Varint) => view.create_revision = take_int(&mut bytes)?,
                (TAG_MOD, WireType::Varint) => view.mod_revision = take_int(&mut bytes)?,
                (TAG_VERSION, WireType::Varint) => view.version = take_int(&mut bytes)?,
                (TAG_LEASE, WireType::Varint) => view.lease = LeaseId(take_int(&mut bytes)?),
                _ => return Err(MalformedRecord),
            }
        }
        Ok(view)
    }
}

fn take_int(bytes: &mut &[u8]) -> Result<i64, MalformedRecord> {
    decode_varint(bytes).map(|value| value as i64).map_err(|_| MalformedRecord)
}

fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], MalformedRecord> {
    let length = usize::try_from(decode_varint(bytes).map_err(|_| MalformedRecord)?)
        .map_err(|_| MalformedRecord)?;
    let (taken, rest) = bytes.split_at_checked(length).ok_or(MalformedRecord)?;
    *bytes = rest;
    Ok(taken)
}

fn put_int(tag: u32, value: i64, buffer: &mut Vec<u8>) {
    if value != 0 {
        encode_key(tag, WireType::Varint, buffer);
        encode_varint(value as u64, buffer);
    }
}

fn put_bytes(tag: u32, value: &[u8], buffer: &mut Vec<u8>) {
    if !value.is_empty() {
        encode_key(tag, WireType::LengthDelimited, buffer);
        encode_varint(value.len() as u64, buffer);
        buffer.extend_from_slice(value);
    }
}

/// Every tag of a `KeyValue` fits one byte.
const TAG_BYTES: usize = 1;

fn int_len(value: i64) -> usize {
    if value == 0 { 0 } else { TAG_BYTES + encoded_len_varint(value as u64) }
}

fn bytes_len(value: &[u8]) -> usize {
    if value.is_empty() {
        0
    } else {
        TAG_BYTES + encoded_len_varint(value.len() as u64) + value.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        #[test]
        fn records_are_what_prost_would_encode(
            key in proptest::collection::vec(any::<u8>(), 0..40),
            value in proptest::collection::vec(any::<u8>(), 0..300),
            numbers in any::<[i64; 4]>(),
        ) {
            let view = RecordView {
                key: &key,
                create_revision: numbers[0],
                mod_revision: numbers[1],
                version: numbers[2],
                value: &value,
                lease: LeaseId(numbers[3]),
            };
            let record = Record::encode(&view);
            prop_assert_eq!(record.view(), view);
            prop_assert_eq!(record.as_bytes().len(), view.encoded_len());
            prop_assert_eq!(record.as_bytes(), record.to_key_value().encode_to_vec());
        }

        #[test]
        fn garbage_is_refused_or_read_but_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let _ = Record::from_encoded(&bytes);
        }
    }
}
