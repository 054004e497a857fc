//! RangeStream: a range of any size in chunks pinned to one revision, with memory for one of them.

use std::sync::Arc;

use api::Error;
use api::etcdserverpb::RangeRequest;
use bytes::{Buf, Bytes};
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use store::RangeChunks;
use tonic::{Code, Status};

use crate::member::{Member, decode};
use crate::server::body::{Answer, trailers_of};
use crate::server::frame::{Frame, PREFIX_BYTES};
use crate::server::message;
use crate::server::method::Method;
use crate::server::status::Failure;
use crate::{fault, gate};

/// Field of the chunk in a `RangeStreamResponse`.
const RANGE_RESPONSE_TAG: u32 = 1;

/// Answers a `RangeRequest` with a stream of chunks.
///
/// # Errors
/// As a unary range; what goes wrong later ends the stream.
pub async fn range_stream(member: &Arc<Member>, mut body: Incoming) -> Result<Answer, Failure> {
    let raw = message::read(&mut body, member.limits.message_bytes_max()).await?;
    member.metrics.grpc.received(Method::RangeStream, 1, raw.len());
    let request: RangeRequest = decode(raw)?;
    store::check_range(&request)?;
    if !request.serializable {
        gate::admit_read(member, false)?;
        member.node.read_index().await?;
    }
    let chunks =
        member.store.range_stream(request, member.header(), member.limits.request_bytes_max)?;
    let stream = Stream { member: member.clone(), chunks: Some(chunks), code: Code::Cancelled };
    let frames = futures::stream::unfold(stream, Stream::next);
    Ok(Answer::Frames(Box::pin(StreamBody::new(frames))))
}

/// A stream in progress; dropped in the middle it counts as canceled.
struct Stream {
    member: Arc<Member>,
    /// Gone when the trailers have been sent.
    chunks: Option<RangeChunks>,
    code: Code,
}

impl Stream {
    /// The next chunk is made only when the client has taken the one before: a slow client holds
    /// neither a thread nor one of the places for long reads.
    async fn next(mut self) -> Option<(Result<BodyFrame<Frame>, Status>, Self)> {
        let mut chunks = self.chunks.take()?;
        let permit = self.member.long_reads.clone().acquire_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            (chunks.next(), chunks)
        });
        let frame = match made.await {
            Ok((Some(Ok(encoded)), chunks)) => {
                self.chunks = Some(chunks);
                self.chunk(encoded)
            }
            Ok((Some(Err(error)), _)) => self.end(Err(&fault::read(error))),
            Ok((None, _)) => self.end(Ok(())),
            Err(_stopping) => self.end(Err(&Error::Stopped)),
        };
        Some((Ok(frame), self))
    }

    fn chunk(&self, encoded: Bytes) -> BodyFrame<Frame> {
        let frame = Frame::wrapped(RANGE_RESPONSE_TAG, encoded);
        let bytes = frame.remaining() - PREFIX_BYTES;
        self.member.metrics.grpc.sent(Method::RangeStream, 1, bytes);
        BodyFrame::data(frame)
    }

    fn end(&mut self, outcome: Result<(), &Error>) -> BodyFrame<Frame> {
        self.code = outcome.map_or_else(Error::code, |()| Code::Ok);
        BodyFrame::trailers(trailers_of(outcome))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.member.metrics.grpc.end(Method::RangeStream, self.code);
    }
}
