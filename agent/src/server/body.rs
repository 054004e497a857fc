//! The one response body type of the port: every kind of answer is a variant, so the connection
//! code is compiled once and the hot path has no boxed body.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame as BodyFrame, SizeHint};
use tonic::Status;

use super::frame::Frame;
use super::status;

/// A boxed stream of frames, for answers that are produced while they are sent.
pub type Frames = Pin<Box<dyn Body<Data = Frame, Error = Status> + Send>>;

/// What a request is answered with.
pub enum Answer {
    /// Headers only.
    Empty,
    /// One message of a successful unary call; the trailers follow.
    Unary(Frame),
    /// The trailers of a successful unary call are what is left to send.
    Trailers,
    /// An HTTP answer of known length.
    Full(Bytes),
    /// Frames and trailers made by somebody else of ours.
    Frames(Frames),
}

impl Body for Answer {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        let this = &mut *self;
        if let Self::Frames(frames) = this {
            return frames.as_mut().poll_frame(context);
        }
        Poll::Ready(match std::mem::replace(this, Self::Empty) {
            Self::Unary(frame) => {
                *this = Self::Trailers;
                Some(Ok(BodyFrame::data(frame)))
            }
            Self::Trailers => Some(Ok(BodyFrame::trailers(status::ok_trailers()))),
            Self::Full(bytes) => Some(Ok(BodyFrame::data(Frame::plain(bytes)))),
            Self::Empty | Self::Frames(_) => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Unary(_) | Self::Trailers => false,
            Self::Frames(frames) => frames.is_end_stream(),
        }
    }

    /// Exact only where a `content-length` belongs: gRPC answers carry none.
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            _ => SizeHint::default(),
        }
    }
}

/// The trailers that end a stream of frames.
pub fn trailers_of(outcome: Result<(), &api::Error>) -> HeaderMap {
    match outcome {
        Ok(()) => status::ok_trailers(),
        Err(error) => status::error_trailers(error.code(), error.text()),
    }
}
