//! A bidirectional stream: watches, lease renewals, snapshots.

use bytes::Bytes;
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};

use crate::wire::status::{check_head, check_trailers};
use crate::wire::{CallError, Frames};

/// One open stream. Dropping it resets the stream, which ends the server's side too.
pub struct Stream {
    send: SendStream<Bytes>,
    head: Option<ResponseFuture>,
    body: Option<RecvStream>,
    frames: Frames,
}

impl Stream {
    pub(super) fn new(send: SendStream<Bytes>, head: ResponseFuture) -> Self {
        Self { send, head: Some(head), body: None, frames: Frames::default() }
    }

    /// Sends one message, framed by [`encode`](crate::wire::encode).
    pub fn send(&mut self, frame: Bytes) -> Result<(), CallError> {
        Ok(self.send.send_data(frame, false)?)
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) -> Result<(), CallError> {
        Ok(self.send.send_data(Bytes::new(), true)?)
    }

    /// Waits for the next message; None when the server ended the stream with status 0.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        if let Some(head) = self.head.take() {
            let response = head.await?;
            check_head(&response)?;
            self.body = Some(response.into_body());
        }
        let body = self.body.as_mut().ok_or(CallError::Reply("stream already failed"))?;
        loop {
            if let Some(message) = self.frames.next()? {
                return Ok(Some(message));
            }
            let Some(piece) = body.data().await else { break };
            let piece = piece?;
            let _ = body.flow_control().release_capacity(piece.len());
            self.frames.push(piece);
        }
        let trailers = body.trailers().await?.ok_or(CallError::Reply("no trailers"))?;
        check_trailers(&trailers).map(|()| None)
    }
}
