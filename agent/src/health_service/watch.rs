//! Health/Watch: the status now and when it changes.

use std::sync::Arc;

use api::Error;
use api::health::health_check_response::ServingStatus;
use api::health::{HealthCheckRequest, HealthCheckResponse};
use bytes::Buf;
use http_body::Frame as BodyFrame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use tonic::{Code, Status};

use crate::member::{Member, decode};
use crate::server::body::{Answer, trailers_of};
use crate::server::frame::{Frame, PREFIX_BYTES};
use crate::server::message;
use crate::server::method::Method;
use crate::server::status::Failure;

/// Opens a stream of statuses. It ends with `Unavailable` after it has told that the member stops.
///
/// # Errors
/// Those of reading the request.
pub async fn watch(member: &Arc<Member>, mut body: Incoming) -> Result<Answer, Failure> {
    let raw = message::read(&mut body, member.limits.message_bytes_max()).await?;
    member.metrics.grpc.received(Method::HealthWatch, 1, raw.len());
    let HealthCheckRequest { service } = decode(raw)?;
    let stream = Stream { member: member.clone(), service, told: None, code: None };
    let frames = futures::stream::unfold(stream, Stream::next);
    Ok(Answer::Frames(Box::pin(StreamBody::new(frames))))
}

/// A stream in progress; dropped before its trailers it counts as canceled.
struct Stream {
    member: Arc<Member>,
    service: String,
    /// The status sent last.
    told: Option<ServingStatus>,
    /// How it ended; set with the trailers.
    code: Option<Code>,
}

impl Stream {
    async fn next(mut self) -> Option<(Result<BodyFrame<Frame>, Status>, Self)> {
        if self.code.is_some() {
            return None;
        }
        let mut status = self.status();
        if self.told == Some(status) {
            self.member.stopped().await;
            status = self.status();
        }
        let frame = if self.told == Some(status) { self.end() } else { self.tell(status) };
        Some((Ok(frame), self))
    }

    fn status(&self) -> ServingStatus {
        super::status(&self.member, &self.service).unwrap_or(ServingStatus::ServiceUnknown)
    }

    fn tell(&mut self, status: ServingStatus) -> BodyFrame<Frame> {
        self.told = Some(status);
        let frame = Frame::encode(&HealthCheckResponse { status: status.into() });
        let bytes = frame.remaining() - PREFIX_BYTES;
        self.member.metrics.grpc.sent(Method::HealthWatch, 1, bytes);
        BodyFrame::data(frame)
    }

    fn end(&mut self) -> BodyFrame<Frame> {
        self.code = Some(Error::Stopped.code());
        BodyFrame::trailers(trailers_of(Err(&Error::Stopped)))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.member.metrics.grpc.end(Method::HealthWatch, self.code.unwrap_or(Code::Cancelled));
    }
}
