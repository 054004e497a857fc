//! gRPC's length-prefixed messages: one byte of flags, four of length (big endian), the message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use crate::wire::CallError;

/// Bytes before each message.
pub const PREFIX_BYTES: usize = 5;

/// The frame of one message, uncompressed.
pub fn encode(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("the generator's requests are far below 4 GiB"));
    message.encode(&mut frame).expect("the buffer grows as needed");
    frame.freeze()
}

/// The length of the message behind a prefix; None while the prefix is incomplete.
pub fn message_bytes(frame: &[u8]) -> Result<Option<usize>, CallError> {
    let Some((prefix, _)) = frame.split_first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    if prefix[0] != 0 {
        return Err(CallError::Reply("compressed message"));
    }
    Ok(Some(u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]) as usize))
}

/// Puts messages together again that arrive in pieces. A message that came whole is not copied.
#[derive(Debug, Default)]
pub struct Frames {
    /// Received and not handed out; no copy was made.
    whole: Bytes,
    /// The beginning of a message whose end is still to come.
    partial: BytesMut,
}

impl Frames {
    /// Takes the next piece. Every complete message must have been taken out with
    /// [`next`](Self::next) before, which also bounds what is held here to one message.
    pub fn push(&mut self, piece: Bytes) {
        if self.partial.is_empty() && self.whole.is_empty() {
            self.whole = piece;
            return;
        }
        if self.partial.is_empty() {
            self.partial.extend_from_slice(&self.whole);
            self.whole = Bytes::new();
        }
        self.partial.extend_from_slice(&piece);
    }

    /// The next complete message, without its prefix.
    pub fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        if !self.partial.is_empty() {
            match message_bytes(&self.partial)? {
                Some(length) if self.partial.len() >= PREFIX_BYTES + length => {
                    self.whole = std::mem::take(&mut self.partial).freeze();
                }
                _ => return Ok(None),
            }
        }
        match message_bytes(&self.whole)? {
            Some(length) if self.whole.len() >= PREFIX_BYTES + length => {
                let mut frame = self.whole.split_to(PREFIX_BYTES + length);
                Ok(Some(frame.split_off(PREFIX_BYTES)))
            }
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::PutRequest;

    use super::*;

    fn request(value_bytes: usize) -> PutRequest {
        PutRequest { value: vec![b'v'; value_bytes].into(), ..Default::default() }
    }

    #[test]
    fn messages_survive_any_cut() {
        let sizes = [0, 1, 300, 5];
        let bytes: Vec<u8> = sizes.iter().flat_map(|&size| encode(&request(size))).collect();
        for piece_bytes in 1..bytes.len() {
            let (mut frames, mut received) = (Frames::default(), Vec::new());
            for piece in bytes.chunks(piece_bytes) {
                frames.push(Bytes::copy_from_slice(piece));
                while let Some(message) = frames.next().unwrap() {
                    received.push(PutRequest::decode(message).unwrap().value.len());
                }
            }
            assert_eq!(received, sizes, "pieces of {piece_bytes} bytes");
        }
    }

    #[test]
    fn compressed_messages_are_refused() {
        let mut frames = Frames::default();
        frames.push(Bytes::from_static(&[1, 0, 0, 0, 0]));
        assert!(frames.next().is_err());
    }
}
