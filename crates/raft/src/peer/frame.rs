//! Frames: the unit both ends of a peer connection exchange.
//!
//! ```text
//! offset  size  field
//!      0     4  length of the payload
//!      4     4  CRC32C of everything after this field
//!      8     1  kind
//!      9     8  request number; a reply carries its request's
//!     17     n  payload
//! ```

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The first bytes of a connection: the protocol's name and version.
pub(super) const PREFACE: &[u8; 8] = b"QUORATE\x01";

const HEADER_BYTES: usize = 17;
const CHECKED_FROM: usize = 8;

/// The largest payload accepted. An entry is at most 16 MiB; a frame holds one entry of that size
/// or about 1 MiB of small ones.
pub(super) const FRAME_BYTES_MAX: usize = 20 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Hello = 1,
    Welcome = 2,
    Refused = 3,
    Discover = 4,
    Claim = 5,
    Announce = 6,
    Append = 10,
    Vote = 11,
    PreVote = 12,
    Transfer = 13,
    SnapshotBegin = 14,
    SnapshotChunk = 15,
    SnapshotEnd = 16,
    Propose = 20,
    ProposeFailed = 21,
    ReadIndex = 22,
    Call = 23,
    Reply = 100,
    Failure = 101,
}

impl Kind {
    fn from_byte(byte: u8) -> io::Result<Self> {
        const KINDS: &[Kind] = &[
            Kind::Hello,
            Kind::Welcome,
            Kind::Refused,
            Kind::Discover,
            Kind::Claim,
            Kind::Announce,
            Kind::Append,
            Kind::Vote,
            Kind::PreVote,
            Kind::Transfer,
            Kind::SnapshotBegin,
            Kind::SnapshotChunk,
            Kind::SnapshotEnd,
            Kind::Propose,
            Kind::ProposeFailed,
            Kind::ReadIndex,
            Kind::Call,
            Kind::Reply,
            Kind::Failure,
        ];
        KINDS
            .iter()
            .copied()
            .find(|kind| *kind as u8 == byte)
            .ok_or_else(|| invalid(format!("frame kind {byte} is not defined")))
    }
}

/// One frame, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(super) kind: Kind,
    pub(super) number: u64,
    pub(super) payload: Bytes,
}

impl Frame {
    pub(crate) fn new(kind: Kind, number: u64, payload: Bytes) -> Self {
        Self { kind, number, payload }
    }

    /// Length on the wire.
    pub(super) fn len(&self) -> usize {
        HEADER_BYTES + self.payload.len()
    }

    fn header(&self) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        header[..4].copy_from_slice(&(self.payload.len() as u32).to_le_bytes());
        header[8] = self.kind as u8;
        header[9..].copy_from_slice(&self.number.to_le_bytes());
        let checksum =
            crc32c::crc32c_append(crc32c::crc32c(&header[CHECKED_FROM..]), &self.payload);
        header[4..8].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// Appends the frame to a buffer that is written out later.
    pub(super) fn put(&self, buffer: &mut BytesMut) {
        buffer.reserve(self.len());
        buffer.put_slice(&self.header());
        buffer.put_slice(&self.payload);
    }
}

/// Writes one frame at once; for the hand-shake.
pub(super) async fn write(stream: &mut (impl AsyncWrite + Unpin), frame: &Frame) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    frame.put(&mut buffer);
    stream.write_all(&buffer).await?;
    stream.flush().await
}

/// Reads the next frame; `None` when the other side closed between two frames.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Frame>> {
    let mut header = [0; HEADER_BYTES];
    if stream.read(&mut header[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut header[1..]).await?;
    let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes")) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(invalid(format!("a frame of {length} bytes is over the limit")));
    }
    let mut payload = BytesMut::zeroed(length);
    stream.read_exact(&mut payload).await?;
    let frame = Frame {
        kind: Kind::from_byte(header[8])?,
        number: u64::from_le_bytes(header[9..].try_into().expect("eight bytes")),
        payload: payload.freeze(),
    };
    if frame.header()[4..8] != header[4..8] {
        return Err(invalid("a frame's checksum does not match".to_owned()));
    }
    Ok(Some(frame))
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded() -> BytesMut {
        let mut buffer = BytesMut::new();
        Frame::new(Kind::Call, 7, Bytes::from_static(b"payload")).put(&mut buffer);
        buffer
    }

    #[tokio::test]
    async fn a_frame_survives_the_wire() {
        let buffer = encoded();
        let frame = read(&mut &buffer[..]).await.expect("valid").expect("one frame");
        assert_eq!((frame.kind, frame.number), (Kind::Call, 7));
        assert_eq!(&frame.payload[..], b"payload");
        assert!(read(&mut &buffer[..0]).await.expect("a clean end").is_none());
    }

    #[tokio::test]
    async fn half_a_frame_and_a_damaged_one_are_errors() {
        let buffer = encoded();
        for length in 1..buffer.len() {
            assert!(read(&mut &buffer[..length]).await.is_err(), "cut at {length}");
        }
        for position in 0..buffer.len() {
            let mut damaged = buffer.clone();
            damaged[position] ^= 0x40;
            assert!(read(&mut &damaged[..]).await.is_err(), "bit flipped at {position}");
        }
    }
}
