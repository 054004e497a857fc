//! A `RangeResponse` being encoded, with gaps for rows that still have to be loaded.

use api::etcdserverpb::ResponseHeader;
use bytes::Bytes;
use prost::encoding::{WireType, encode_key, encode_varint, message};

use super::{Stop, View};
use crate::ids::Revision;
use crate::record::{Record, RecordView};

const TAG_HEADER: u32 = 1;
const TAG_KVS: u32 = 2;
const TAG_MORE: u32 = 3;
const TAG_COUNT: u32 = 4;

/// Tag and length in front of a row.
const ROW_FRAME_BYTES: u64 = 4;

/// Most memory taken on the store's mean alone.
const FIRST_ROWS_BYTES_MAX: u64 = 512 * 1024;

/// `more` and `count` at the end.
const TAIL_BYTES: usize = 16;

/// The bytes so far. Rows are appended in order; a row whose record is not in memory leaves a gap
/// that [`Output::load_cold`] fills outside the lock.
pub(super) struct Output {
    bytes: Vec<u8>,
    gaps: Vec<Gap>,
    rows: u64,
}

struct Gap {
    offset: usize,
    revision: Revision,
    keys_only: bool,
}

impl Output {
    pub fn new() -> Self {
        Self { bytes: Vec::new(), gaps: Vec::new(), rows: 0 }
    }

    /// The header with the revision of the store at the time.
    pub fn header(&mut self, header: &ResponseHeader, revision: i64) {
        let header = ResponseHeader { revision, ..*header };
        message::encode(TAG_HEADER, &header, &mut self.bytes);
    }

    /// A row as it stands.
    pub fn record(&mut self, record: &Record, keys_only: bool) {
        if keys_only {
            let view = RecordView { value: &[], ..record.view() };
            self.view(&view);
        } else {
            self.encoded(record.as_bytes());
        }
    }

    fn encoded(&mut self, record: &[u8]) {
        self.rows += 1;
        encode_key(TAG_KVS, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(record.len() as u64, &mut self.bytes);
        self.bytes.extend_from_slice(record);
    }

    /// A row made from its fields.
    pub fn view(&mut self, view: &RecordView<'_>) {
        self.rows += 1;
        encode_key(TAG_KVS, WireType::LengthDelimited, &mut self.bytes);
        encode_varint(view.encoded_len() as u64, &mut self.bytes);
        view.write_to(&mut self.bytes);
    }

    /// A row that has to be loaded.
    pub fn cold(&mut self, revision: Revision, keys_only: bool) {
        self.gaps.push(Gap { offset: self.bytes.len(), revision, keys_only });
    }

    pub fn has_cold(&self) -> bool {
        !self.gaps.is_empty()
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Loads the rows that are missing and puts them where they belong.
    pub fn load_cold<V: View>(&mut self, view: &V) -> Result<(), Stop> {
        let gaps = std::mem::take(&mut self.gaps);
        let Some(first) = gaps.first() else { return Ok(()) };
        let start = first.offset;
        let tail = self.bytes.split_off(start);
        let mut copied = 0;
        for gap in &gaps {
            let upto = gap.offset - start;
            self.bytes.extend_from_slice(&tail[copied..upto]);
            copied = upto;
            self.record(&view.load(gap.revision)?, gap.keys_only);
        }
        self.bytes.extend_from_slice(&tail[copied..]);
        Ok(())
    }

    /// Makes room for the first rows, going by the mean of the whole store: what is too much is
    /// bounded, what is too little grows.
    pub fn expect_first_rows(&mut self, rows: u64, mean_bytes: u64) {
        let bytes = rows.saturating_mul(mean_bytes + ROW_FRAME_BYTES).min(FIRST_ROWS_BYTES_MAX);
        self.bytes.reserve(bytes as usize + TAIL_BYTES);
    }

    /// Makes room for that many more rows of the size seen so far: growing by doubling would hold
    /// a large answer twice.
    pub fn expect_rows(&mut self, rows: u64) {
        let Some(each) = (self.bytes.len() as u64).checked_div(self.rows) else { return };
        let more = rows.saturating_mul(each + each / 32 + 1);
        self.bytes.reserve_exact(usize::try_from(more).unwrap_or(0) + TAIL_BYTES);
    }

    /// What follows the rows.
    pub fn end(&mut self, more: bool, count: u64) {
        if more {
            encode_key(TAG_MORE, WireType::Varint, &mut self.bytes);
            encode_varint(1, &mut self.bytes);
        }
        if count > 0 {
            encode_key(TAG_COUNT, WireType::Varint, &mut self.bytes);
            encode_varint(count, &mut self.bytes);
        }
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}
