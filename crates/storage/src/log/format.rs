//! Records and segment headers, byte by byte as docs/formats/log.md draws them.

use bytes::Bytes;

use crate::position::{LogPosition, POSITION_BYTES};

/// Largest payload of one entry, bytes. The API refuses far smaller requests.
pub const ENTRY_BYTES_MAX: usize = 16 << 20;

/// First bytes of a segment header's payload.
pub(super) const MAGIC: [u8; 8] = *b"quorlog\x01";
/// Format version this release writes, and the newest it reads.
pub(super) const FORMAT_VERSION: u32 = 1;
/// Records start at multiples of this, so that recovery can look for one anywhere.
pub(super) const ALIGNMENT: usize = 8;

pub(super) const HEADER_BYTES: usize = 40;
const LENGTH_AT: usize = 0;
const CHECKSUM_AT: usize = 4;
const PREVIOUS_AT: usize = 8;
const BATCH_AT: usize = 12;
const TERM_AT: usize = 16;
const INDEX_AT: usize = 24;
const KIND_AT: usize = 32;
const TAG_AT: usize = 33;
const ZERO_AT: usize = 34;

const _: () = assert!(HEADER_BYTES.is_multiple_of(ALIGNMENT));
const _: () =
    assert!(BATCH_AT + 4 == TERM_AT && TERM_AT + 8 == INDEX_AT && INDEX_AT + 8 == KIND_AT);
const _: () = assert!(ZERO_AT + 6 == HEADER_BYTES);

/// What a seal record takes; every segment keeps this much room for it.
pub(super) const SEAL_BYTES: usize = HEADER_BYTES;

/// What a record says. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Header = 1,
    Entry = 2,
    Vote = 3,
    TruncateAfter = 4,
    Purged = 5,
    Committed = 6,
    Seal = 7,
    /// Written whenever a log is opened: a random number that makes the chain of checksums differ
    /// from the one a torn write may have left behind.
    Opened = 8,
}

impl Kind {
    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Header,
            2 => Self::Entry,
            3 => Self::Vote,
            4 => Self::TruncateAfter,
            5 => Self::Purged,
            6 => Self::Committed,
            7 => Self::Seal,
            8 => Self::Opened,
            _ => return None,
        })
    }
}

/// The fixed part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Payload length, bytes.
    pub length: u32,
    /// CRC32C over the segment's sequence number, the rest of the header and the payload.
    pub checksum: u32,
    /// `checksum` of the record before, across segments; 0 for the first one ever.
    pub previous: u32,
    /// Where in this segment the write began that this record was part of. What stands before it
    /// had been synced: damage there is corruption, damage after it a torn write.
    pub batch: u32,
    pub position: LogPosition,
    pub kind: Kind,
    /// The caller's own mark on an entry; "none" as 1 in the truncation that keeps nothing.
    pub tag: u8,
}

impl Header {
    /// Reads a header; `None` when the bytes cannot be one.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight"));
        let kind = Kind::from_byte(bytes[KIND_AT])?;
        let length = u32_at(LENGTH_AT);
        if bytes[ZERO_AT..] != [0; 6] || length as usize > ENTRY_BYTES_MAX {
            return None;
        }
        Some(Self {
            length,
            checksum: u32_at(CHECKSUM_AT),
            previous: u32_at(PREVIOUS_AT),
            batch: u32_at(BATCH_AT),
            position: LogPosition::new(u64_at(TERM_AT), u64_at(INDEX_AT)),
            kind,
            tag: bytes[TAG_AT],
        })
    }

    /// Header and payload with padding, bytes.
    pub fn record_bytes(&self) -> usize {
        record_bytes(self.length as usize)
    }
}

/// Size of a record with this payload, padding included.
pub(super) fn record_bytes(payload_bytes: usize) -> usize {
    (HEADER_BYTES + payload_bytes).next_multiple_of(ALIGNMENT)
}

/// Whether header and payload belong together and to the segment with this sequence number. The
/// number makes records of a recycled file's earlier life invalid.
pub(super) fn is_intact(sequence: u64, header: &[u8; HEADER_BYTES], payload: &[u8]) -> bool {
    let stored =
        u32::from_le_bytes(header[CHECKSUM_AT..CHECKSUM_AT + 4].try_into().expect("four bytes"));
    checksum(sequence, header, payload) == stored
}

fn checksum(sequence: u64, header: &[u8], payload: &[u8]) -> u32 {
    let mut start = [0; 12];
    start[..8].copy_from_slice(&sequence.to_le_bytes());
    start[8..].copy_from_slice(&header[..CHECKSUM_AT]);
    let crc = crc32c::crc32c(&start);
    let crc = crc32c::crc32c_append(crc, &header[PREVIOUS_AT..]);
    crc32c::crc32c_append(crc, payload)
}

/// What is to be written as one record.
pub(super) struct Draft<'a> {
    pub kind: Kind,
    pub tag: u8,
    pub position: LogPosition,
    pub payload: &'a [u8],
}

/// Appends the record to `buffer` and returns its checksum, the next record's `previous`.
pub(super) fn encode(
    buffer: &mut Vec<u8>,
    sequence: u64,
    previous: u32,
    batch: u32,
    draft: &Draft<'_>,
) -> u32 {
    let length = u32::try_from(draft.payload.len()).expect("payloads are bounded");
    let mut header = [0; HEADER_BYTES];
    header[LENGTH_AT..LENGTH_AT + 4].copy_from_slice(&length.to_le_bytes());
    header[PREVIOUS_AT..PREVIOUS_AT + 4].copy_from_slice(&previous.to_le_bytes());
    header[BATCH_AT..BATCH_AT + 4].copy_from_slice(&batch.to_le_bytes());
    header[TERM_AT..TERM_AT + 8].copy_from_slice(&draft.position.term.to_le_bytes());
    header[INDEX_AT..INDEX_AT + 8].copy_from_slice(&draft.position.index.to_le_bytes());
    header[KIND_AT] = draft.kind as u8;
    header[TAG_AT] = draft.tag;
    let crc = checksum(sequence, &header, draft.payload);
    header[CHECKSUM_AT..CHECKSUM_AT + 4].copy_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(&header);
    buffer.extend_from_slice(draft.payload);
    buffer.resize(buffer.len().next_multiple_of(ALIGNMENT), 0);
    crc
}

/// What the log says besides its entries; every segment header repeats it, so that any run of
/// segments can be read without the ones before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub vote: Option<Bytes>,
    pub committed: Option<LogPosition>,
    pub purged: Option<LogPosition>,
    pub last: Option<LogPosition>,
}

const SUMMARY_VERSION_AT: usize = 8;
const SUMMARY_FLAGS_AT: usize = 12;
const SUMMARY_SEQUENCE_AT: usize = 16;
const SUMMARY_COMMITTED_AT: usize = 24;
const SUMMARY_PURGED_AT: usize = SUMMARY_COMMITTED_AT + POSITION_BYTES;
const SUMMARY_LAST_AT: usize = SUMMARY_PURGED_AT + POSITION_BYTES;
const SUMMARY_VOTE_AT: usize = SUMMARY_LAST_AT + POSITION_BYTES;

const _: () = assert!(SUMMARY_VOTE_AT == 72);

const HAS_COMMITTED: u32 = 1;
const HAS_PURGED: u32 = 2;
const HAS_LAST: u32 = 4;
const HAS_VOTE: u32 = 8;

/// Why a segment header's payload was not understood.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SummaryError {
    Foreign,
    Newer(u32),
}

impl Summary {
    /// Entries after `keep` are no longer in force.
    pub fn truncate_after(&mut self, keep: Option<LogPosition>) {
        self.last = self.last.min(keep.max(self.purged));
    }

    /// Entries up to `upto`, which may lie beyond the last one, are gone.
    pub fn purge(&mut self, upto: LogPosition) {
        self.purged = self.purged.max(Some(upto));
        if self.last.is_none_or(|last| last.index < upto.index) {
            self.last = Some(upto);
        }
    }

    /// Payload of the header of segment `sequence`.
    pub fn encode(&self, sequence: u64) -> Vec<u8> {
        let flag = |present: bool, bit: u32| if present { bit } else { 0 };
        let flags = flag(self.committed.is_some(), HAS_COMMITTED)
            | flag(self.purged.is_some(), HAS_PURGED)
            | flag(self.last.is_some(), HAS_LAST)
            | flag(self.vote.is_some(), HAS_VOTE);
        let vote = self.vote.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(SUMMARY_VOTE_AT + vote.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes.extend_from_slice(&flags.to_le_bytes());
        bytes.extend_from_slice(&sequence.to_le_bytes());
        for position in [self.committed, self.purged, self.last] {
            bytes.extend_from_slice(&position.unwrap_or_default().to_bytes());
        }
        bytes.extend_from_slice(vote);
        bytes
    }

    /// Reads the payload of the header of segment `sequence`.
    pub fn decode(bytes: &[u8], sequence: u64) -> Result<Self, SummaryError> {
        if bytes.len() < SUMMARY_VOTE_AT || bytes[..8] != MAGIC {
            return Err(SummaryError::Foreign);
        }
        let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four"));
        let version = u32_at(SUMMARY_VERSION_AT);
        if version != FORMAT_VERSION {
            return Err(SummaryError::Newer(version));
        }
        if bytes[SUMMARY_SEQUENCE_AT..SUMMARY_COMMITTED_AT] != sequence.to_le_bytes() {
            return Err(SummaryError::Foreign);
        }
        let flags = u32_at(SUMMARY_FLAGS_AT);
        let position = |bit: u32, at: usize| {
            (flags & bit != 0).then(|| {
                let bytes = bytes[at..at + POSITION_BYTES].try_into().expect("sixteen bytes");
                LogPosition::from_bytes(bytes)
            })
        };
        Ok(Self {
            vote: (flags & HAS_VOTE != 0)
                .then(|| Bytes::copy_from_slice(&bytes[SUMMARY_VOTE_AT..])),
            committed: position(HAS_COMMITTED, SUMMARY_COMMITTED_AT),
            purged: position(HAS_PURGED, SUMMARY_PURGED_AT),
            last: position(HAS_LAST, SUMMARY_LAST_AT),
        })
    }
}

/// `<sequence>-<first index>.wal`, decimal, padded so that names sort.
pub(super) fn segment_name(sequence: u64, first_index: u64) -> String {
    format!("{sequence:010}-{first_index:020}.{SEGMENT_SUFFIX}")
}

/// The sequence number in a segment's name; `None` for other files.
pub(super) fn segment_sequence(name: &str) -> Option<u64> {
    let (sequence, first_index) =
        name.strip_suffix(SEGMENT_SUFFIX)?.strip_suffix('.')?.split_once('-')?;
    first_index.parse::<u64>().ok()?;
    sequence.parse().ok()
}

const SEGMENT_SUFFIX: &str = "wal";
/// A file that waits to become a segment.
pub(super) const SPARE_SUFFIX: &str = ".spare";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_intact_only_in_its_own_segment() {
        let mut buffer = Vec::new();
        let draft = Draft {
            kind: Kind::Entry,
            tag: 3,
            position: LogPosition::new(2, 9),
            payload: b"seven b",
        };
        let crc = encode(&mut buffer, 5, 77, 64, &draft);
        assert_eq!(buffer.len(), 48);
        let (header, payload) = buffer.split_first_chunk::<HEADER_BYTES>().expect("a header");
        assert!(is_intact(5, header, &payload[..7]));
        assert!(!is_intact(6, header, &payload[..7]));
        let expected = Header {
            length: 7,
            checksum: crc,
            previous: 77,
            batch: 64,
            position: draft.position,
            kind: Kind::Entry,
            tag: 3,
        };
        assert_eq!(Header::parse(header), Some(expected));
    }

    #[test]
    fn every_bit_of_a_record_is_covered_by_its_checksum() {
        let mut buffer = Vec::new();
        let draft = Draft {
            kind: Kind::Vote,
            tag: 0,
            position: LogPosition::new(1, 1),
            payload: b"12345678",
        };
        encode(&mut buffer, 1, 2, 3, &draft);
        for bit in 0..buffer.len() * 8 {
            let mut damaged = buffer.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let (header, payload) = damaged.split_first_chunk::<HEADER_BYTES>().expect("a header");
            assert!(!is_intact(1, header, payload), "bit {bit}");
        }
    }

    #[test]
    fn summaries_survive_and_foreign_ones_are_refused() {
        let full = Summary {
            vote: Some(Bytes::from_static(b"vote")),
            committed: Some(LogPosition::new(1, 2)),
            purged: Some(LogPosition::new(0, 0)),
            last: Some(LogPosition::new(3, 4)),
        };
        for summary in [full, Summary::default()] {
            assert_eq!(Summary::decode(&summary.encode(8), 8), Ok(summary.clone()));
            assert_eq!(Summary::decode(&summary.encode(8), 9), Err(SummaryError::Foreign));
            let mut newer = summary.encode(8);
            newer[SUMMARY_VERSION_AT] = 2;
            assert_eq!(Summary::decode(&newer, 8), Err(SummaryError::Newer(2)));
        }
    }

    #[test]
    fn segment_names_carry_the_sequence_and_nothing_else_passes() {
        assert_eq!(segment_sequence(&segment_name(12, 700)), Some(12));
        for other in ["1.wal", "x-1.wal", "1-x.wal", "1-2.spare", "1-2wal", ""] {
            assert_eq!(segment_sequence(other), None, "{other}");
        }
    }
}
