//! One client's stream: its requests in, its responses out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use api::Error;
use api::etcdserverpb::WatchRequest;
use api::etcdserverpb::watch_request::RequestUnion;
use bytes::Bytes;
use futures::Stream;
use http::HeaderMap;
use http_body::{Body, Frame};
use store::watch::{Delivery, StreamId};
use tokio::time::{Instant, Sleep};
use tonic::codec::{Codec, Streaming};
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::hub::Hub;
use super::source::WatchSource;

/// A response body chunk ends with the message that reaches this; one write of the connection.
const CHUNK_BYTES: usize = 64 << 10;
/// Requests carried out before the connection gets its turn again.
const REQUESTS_PER_POLL: usize = 64;
/// The progress interval is longer by up to this fraction of itself, drawn once per stream, so that
/// a thousand idle streams are not told in the same instant.
const JITTER_FRACTION: u32 = 10;

/// Body of the response to `Watch`; closes its watchers when dropped.
pub struct WatchStream {
    hub: Arc<Hub>,
    source: Arc<dyn WatchSource>,
    id: StreamId,
    /// `None` after the client's last request; its watchers live on.
    requests: Option<Streaming<WatchRequest>>,
    delivery: Delivery,
    /// Runs once a watcher has asked for progress notifications.
    progress: Option<Progress>,
    ended: bool,
}

struct Progress {
    interval: Duration,
    next: Pin<Box<Sleep>>,
}

impl WatchStream {
    pub(super) fn new<B>(
        hub: Arc<Hub>,
        source: Arc<dyn WatchSource>,
        needs_leader: bool,
        body: B,
    ) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let decoder = ProstCodec::<WatchRequest, WatchRequest>::default().decoder();
        let bytes_max = Some(hub.options().request_bytes_max);
        let requests = Some(Streaming::new_request(decoder, body, None, bytes_max));
        let (id, delivery) = hub.open(needs_leader);
        Self { hub, source, id, requests, delivery, progress: None, ended: false }
    }

    /// Carries out the requests that have arrived.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Result<(), Status> {
        for _ in 0..REQUESTS_PER_POLL {
            let Some(requests) = &mut self.requests else { return Ok(()) };
            match Pin::new(requests).poll_next(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => self.requests = None,
                Poll::Ready(Some(request)) => {
                    self.carry_out(request.map_err(end_of_requests)?);
                }
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn carry_out(&mut self, request: WatchRequest) {
        let source = self.source.as_ref();
        match request.request_union {
            Some(RequestUnion::CreateRequest(request)) => {
                let created = self.hub.create(self.id, &request, source);
                if created && request.progress_notify && self.progress.is_none() {
                    self.progress = Some(Progress::start(self.hub.options().progress_interval));
                }
            }
            Some(RequestUnion::CancelRequest(request)) => {
                self.hub.cancel(self.id, request.watch_id, source);
            }
            Some(RequestUnion::ProgressRequest(_)) => self.hub.request_bookmark(self.id, source),
            None => {}
        }
    }

    fn poll_progress(&mut self, cx: &mut Context<'_>) {
        if self.progress.as_mut().is_some_and(|progress| progress.poll(cx)) {
            self.hub.tick(self.id);
        }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        std::task::ready!(self.delivery.poll_ready(cx))?;
        let mut chunk = Vec::new();
        if self.delivery.encode(&self.source.header(), CHUNK_BYTES, &mut chunk).made_room {
            self.hub.resume(self.id);
        }
        Poll::Ready(Ok(Bytes::from(chunk)))
    }

    fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Status>> {
        self.poll_requests(cx)?;
        self.poll_progress(cx);
        self.poll_chunk(cx)
    }
}

impl Body for WatchStream {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match std::task::ready!(self.poll_all(cx)) {
            Ok(chunk) => Frame::data(chunk),
            Err(status) => {
                self.ended = true;
                Frame::trailers(trailers(&status)?)
            }
        };
        Poll::Ready(Some(Ok(frame)))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

impl Drop for WatchStream {
    fn drop(&mut self) {
        self.hub.close(self.id);
    }
}

impl Progress {
    fn start(interval: Duration) -> Self {
        let interval = interval + (interval / JITTER_FRACTION).mul_f64(rand::random());
        Self { interval, next: Box::pin(tokio::time::sleep(interval)) }
    }

    /// True when the interval has passed; the next one has begun then.
    fn poll(&mut self, cx: &mut Context<'_>) -> bool {
        if self.next.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.next.as_mut().reset(Instant::now() + self.interval);
        // Registers for the new deadline.
        if self.next.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
        true
    }
}

/// What the client is told when its requests end in an error: a message it should not have sent is
/// named, a stream that broke off is confirmed in etcd's words. (A stream the client has reset does
/// not come here: tonic ends its requests without an error, and the connection drops the body.)
fn end_of_requests(status: Status) -> Status {
    match status.code() {
        Code::Internal | Code::OutOfRange | Code::ResourceExhausted | Code::Unimplemented => status,
        _ => Error::WatchCanceled.into(),
    }
}

fn trailers(status: &Status) -> Result<HeaderMap, Status> {
    let mut map = HeaderMap::new();
    status.add_header(&mut map)?;
    Ok(map)
}
