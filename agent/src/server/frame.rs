//! One piece of a response body: a few bytes made here in front of bytes shared with their maker.

use std::io::IoSlice;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

/// Room for the length prefix of gRPC and for one protobuf tag with its length.
const HEAD_BYTES_MAX: usize = 16;

/// Flag and length in front of every gRPC message (PROTOCOL-HTTP2, "Length-Prefixed-Message").
pub const PREFIX_BYTES: usize = 5;

/// A length-prefixed gRPC message, or plain bytes of an HTTP answer.
///
/// The head is kept apart from the body so that a large answer that somebody else encoded is sent
/// without being copied behind its prefix.
#[derive(Debug, Default)]
pub struct Frame {
    head: [u8; HEAD_BYTES_MAX],
    head_at: u8,
    head_end: u8,
    body: Bytes,
}

impl Frame {
    /// Bytes as they are.
    pub fn plain(body: Bytes) -> Self {
        Self { body, ..Self::default() }
    }

    /// An encoded message with gRPC's prefix before it.
    pub fn message(body: Bytes) -> Self {
        let mut frame = Self::plain(body);
        frame.prefix(frame.body.len());
        frame
    }

    /// An encoded message wrapped as field `tag` of an outer message, with gRPC's prefix.
    pub fn wrapped(tag: u32, body: Bytes) -> Self {
        let mut field = [0; HEAD_BYTES_MAX - PREFIX_BYTES];
        let mut rest = &mut field[..];
        prost::encoding::encode_key(tag, prost::encoding::WireType::LengthDelimited, &mut rest);
        prost::encoding::encode_varint(body.len() as u64, &mut rest);
        let spare = rest.len();
        let field = &field[..HEAD_BYTES_MAX - PREFIX_BYTES - spare];
        let mut frame = Self::plain(body);
        frame.prefix(field.len() + frame.body.len());
        frame.head[PREFIX_BYTES..PREFIX_BYTES + field.len()].copy_from_slice(field);
        frame.head_end += field.len() as u8;
        frame
    }

    /// Encodes a message behind its prefix, in one allocation of the right size.
    pub fn encode(message: &impl Message) -> Self {
        let mut buffer = BytesMut::with_capacity(PREFIX_BYTES + message.encoded_len());
        encode_into(message, &mut buffer);
        Self::plain(buffer.freeze())
    }

    fn prefix(&mut self, length: usize) {
        let length = u32::try_from(length).expect("answers are bounded far below 4 GiB");
        self.head[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
        self.head_end = PREFIX_BYTES as u8;
    }

    fn head(&self) -> &[u8] {
        &self.head[usize::from(self.head_at)..usize::from(self.head_end)]
    }
}

/// Appends a message with gRPC's prefix, for answers that go out several at a time.
pub fn encode_into(message: &impl Message, buffer: &mut BytesMut) {
    let length = message.encoded_len();
    buffer.reserve(PREFIX_BYTES + length);
    buffer.put_u8(0);
    buffer.put_u32(u32::try_from(length).expect("answers are bounded far below 4 GiB"));
    message.encode(buffer).expect("a BytesMut grows");
}

impl Buf for Frame {
    fn remaining(&self) -> usize {
        self.head().len() + self.body.len()
    }

    fn chunk(&self) -> &[u8] {
        if self.head().is_empty() { &self.body } else { self.head() }
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = [self.head(), &self.body];
        let filled = parts.into_iter().filter(|part| !part.is_empty()).zip(slices.iter_mut());
        filled.map(|(part, slice)| *slice = IoSlice::new(part)).count()
    }

    fn advance(&mut self, count: usize) {
        let from_head = count.min(self.head().len());
        self.head_at += from_head as u8;
        self.body.advance(count - from_head);
    }
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{RangeResponse, RangeStreamResponse};

    use super::*;

    fn flat(mut frame: Frame) -> Vec<u8> {
        frame.copy_to_bytes(frame.remaining()).to_vec()
    }

    #[test]
    fn a_shared_message_reads_as_an_encoded_one() {
        let message = RangeResponse { count: 300, more: true, ..Default::default() };
        let shared = Frame::message(message.encode_to_vec().into());
        assert_eq!(flat(shared), flat(Frame::encode(&message)));
    }

    #[test]
    fn wrapping_is_what_prost_encodes() {
        for count in [0, 1, 300] {
            let inner = RangeResponse {
                kvs: vec![Default::default(); count],
                count: count as i64,
                ..Default::default()
            };
            let outer = RangeStreamResponse { range_response: Some(inner.clone()) };
            let frame = Frame::wrapped(1, inner.encode_to_vec().into());
            assert_eq!(flat(frame), flat(Frame::encode(&outer)));
        }
    }

    #[test]
    fn advancing_crosses_from_head_to_body() {
        let mut frame = Frame::message(Bytes::from_static(b"abc"));
        assert_eq!(frame.remaining(), 8);
        frame.advance(3);
        assert_eq!(frame.chunk(), [0, 3]);
        frame.advance(3);
        assert_eq!(frame.chunk(), b"bc");
        let mut slices = [IoSlice::new(&[]); 4];
        assert_eq!(frame.chunks_vectored(&mut slices), 1);
        frame.advance(2);
        assert!(!frame.has_remaining());
    }
}
