//! Chunks and records of a snapshot, byte by byte as docs/formats/snapshot.md draws them.

use bytes::{Buf, BufMut, Bytes};

use crate::backend::BackendError;
use crate::position::{LogPosition, POSITION_BYTES};

/// First bytes of the header record.
const MAGIC: [u8; 8] = *b"quorsnap";
/// Format version this release writes, and the newest it reads.
const FORMAT_VERSION: u32 = 1;

/// Chunk: body length, checksum, number, then the body.
pub(super) const CHUNK_HEADER_BYTES: usize = 16;
/// Record: kind, payload length, then the payload.
pub(super) const RECORD_HEADER_BYTES: usize = 5;

const _: () = assert!(CHUNK_HEADER_BYTES == 4 + 4 + 8);
const _: () = assert!(RECORD_HEADER_BYTES == 1 + 4);

/// Kinds of records. Numbers are never reused.
pub(super) const RECORD_HEADER: u8 = 1;
pub(super) const RECORD_META: u8 = 2;
pub(super) const RECORD_LEASE: u8 = 3;
pub(super) const RECORD_ALARM: u8 = 4;
pub(super) const RECORD_MEMBER: u8 = 5;
pub(super) const RECORD_ROW: u8 = 6;
pub(super) const RECORD_TRAILER: u8 = 7;

const HAS_POSITION: u32 = 1;
const HAS_MEMBERSHIP: u32 = 2;
const HEADER_FIXED_BYTES: usize = 8 + 4 + 4 + POSITION_BYTES;

const _: () = assert!(HEADER_FIXED_BYTES == 32);

pub(super) fn damaged(reason: impl Into<String>) -> BackendError {
    BackendError::Snapshot(reason.into())
}

/// Where in the log the snapshot stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    pub position: Option<LogPosition>,
    pub membership: Option<Bytes>,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let flag = |present: bool, bit: u32| if present { bit } else { 0 };
        let membership = self.membership.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEADER_FIXED_BYTES + membership.len());
        bytes.put_slice(&MAGIC);
        bytes.put_u32_le(FORMAT_VERSION);
        bytes.put_u32_le(
            flag(self.position.is_some(), HAS_POSITION)
                | flag(self.membership.is_some(), HAS_MEMBERSHIP),
        );
        bytes.put_slice(&self.position.unwrap_or_default().to_bytes());
        bytes.put_slice(membership);
        bytes
    }

    pub fn decode(mut bytes: &[u8]) -> Result<Self, BackendError> {
        if bytes.len() < HEADER_FIXED_BYTES || bytes[..8] != MAGIC {
            return Err(damaged("the stream does not begin as one"));
        }
        bytes.advance(8);
        let version = bytes.get_u32_le();
        if version != FORMAT_VERSION {
            return Err(damaged(format!("format {version} is unknown; upgrade this member")));
        }
        let flags = bytes.get_u32_le();
        let mut position = [0; POSITION_BYTES];
        bytes.copy_to_slice(&mut position);
        Ok(Self {
            position: (flags & HAS_POSITION != 0).then(|| LogPosition::from_bytes(&position)),
            membership: (flags & HAS_MEMBERSHIP != 0).then(|| Bytes::copy_from_slice(bytes)),
        })
    }
}

/// Starts a chunk; the header is filled in by [`finish_chunk`].
pub(super) fn start_chunk(bytes_max: usize) -> Vec<u8> {
    let mut chunk = Vec::with_capacity(CHUNK_HEADER_BYTES + bytes_max);
    chunk.resize(CHUNK_HEADER_BYTES, 0);
    chunk
}

/// Appends a record to the chunk.
pub(super) fn put_record(chunk: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    chunk.put_u8(kind);
    chunk.put_u32_le(u32::try_from(length).expect("records are far below 4 GiB"));
    parts.iter().for_each(|part| chunk.put_slice(part));
}

/// Fills in the header of a chunk.
pub(super) fn finish_chunk(chunk: &mut [u8], number: u64) {
    let body_length = chunk.len() - CHUNK_HEADER_BYTES;
    let checksum = chunk_checksum(number, &chunk[CHUNK_HEADER_BYTES..]);
    let mut header = &mut chunk[..CHUNK_HEADER_BYTES];
    header.put_u32_le(u32::try_from(body_length).expect("chunks are far below 4 GiB"));
    header.put_u32_le(checksum);
    header.put_u64_le(number);
}

fn chunk_checksum(number: u64, body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_le_bytes()), body)
}

/// Checks a chunk and returns its body.
pub(super) fn open_chunk(chunk: &[u8], expected_number: u64) -> Result<&[u8], BackendError> {
    let (mut header, body) = chunk
        .split_at_checked(CHUNK_HEADER_BYTES)
        .ok_or_else(|| damaged("a chunk is shorter than its header"))?;
    let (length, checksum) = (header.get_u32_le(), header.get_u32_le());
    let number = header.get_u64_le();
    if number != expected_number {
        return Err(damaged(format!("chunk {number} came where {expected_number} was due")));
    }
    if length as usize != body.len() || checksum != chunk_checksum(number, body) {
        return Err(damaged(format!("chunk {number} is damaged")));
    }
    Ok(body)
}

/// Takes the next record off the body of a chunk: its kind, its payload and its whole length.
pub(super) fn take_record<'a>(body: &mut &'a [u8]) -> Result<(u8, &'a [u8], usize), BackendError> {
    let cut = || damaged("a record does not end in its chunk");
    let (mut header, rest) = body.split_at_checked(RECORD_HEADER_BYTES).ok_or_else(cut)?;
    let (kind, length) = (header.get_u8(), header.get_u32_le() as usize);
    let (payload, rest) = rest.split_at_checked(length).ok_or_else(cut)?;
    *body = rest;
    Ok((kind, payload, RECORD_HEADER_BYTES + length))
}
