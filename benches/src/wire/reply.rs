//! The reply of a unary call.

use bytes::{Bytes, BytesMut};
use h2::RecvStream;

use crate::wire::frame::{PREFIX_BYTES, message_bytes};
use crate::wire::{CallError, Fields};

/// How much of a reply the caller wants to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The beginning, with the response header in it; the rest is counted and dropped.
    Head,
    /// All of it.
    Whole,
}

/// Enough for the prefix and a response header with the longest numbers.
const HEAD_BYTES: usize = 64;

/// A reply whose status was 0.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The message, or with [`Keep::Head`] at least its response header.
    pub message: Bytes,
    /// Length of the message, received in full whatever was kept.
    pub bytes: usize,
}

impl Reply {
    /// The store revision in the response header; every reply of etcd has one above 0.
    pub fn revision(&self) -> Result<i64, CallError> {
        header_revision(&self.message)
    }
}

/// The revision in the response header of `message`, which must be above 0.
pub fn header_revision(message: &[u8]) -> Result<i64, CallError> {
    Fields::bytes(message, 1)
        .and_then(|header| Fields::number(header, 3))
        .map(|revision| revision.cast_signed())
        .filter(|&revision| revision > 0)
        .ok_or(CallError::Reply("no revision in the header"))
}

/// Receives exactly one message, giving back the stream's window as the bytes come in.
pub async fn receive(body: &mut RecvStream, keep: Keep) -> Result<Reply, CallError> {
    let (mut head, mut bytes) = (Bytes::new(), 0);
    let mut kept = BytesMut::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let _ = body.flow_control().release_capacity(piece.len());
        bytes += piece.len();
        if head.is_empty() && kept.is_empty() {
            head = piece; // the usual case: the whole reply in one piece, not copied
        } else if keep == Keep::Whole || head.len() + kept.len() < HEAD_BYTES {
            if kept.is_empty() {
                kept.extend_from_slice(&head);
            }
            kept.extend_from_slice(&piece);
        }
    }
    let mut frame = if kept.is_empty() { head } else { kept.freeze() };
    match message_bytes(&frame)? {
        Some(length) if bytes == PREFIX_BYTES + length => {
            Ok(Reply { message: frame.split_off(PREFIX_BYTES), bytes: length })
        }
        _ => Err(CallError::Reply("not one whole message")),
    }
}
