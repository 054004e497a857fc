//! LeaseKeepAlive: a stream of leases to renew, answered in order.
//!
//! The answer body itself reads the requests: whatever has arrived is renewed in one go and leaves
//! as one piece, with no task and no queue between. Unread requests stay in the transport's window,
//! so a client that does not read its answers costs nothing more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use api::Error;
use api::etcdserverpb::{LeaseKeepAliveRequest, LeaseKeepAliveResponse};
use bytes::{Buf, Bytes, BytesMut};
use futures::future::BoxFuture;
use http_body::{Body, Frame as BodyFrame};
use hyper::body::Incoming;
use prost::Message;
use store::LeaseId;
use tonic::{Code, Status};

use super::peer::{RENEW, numbers, read_numbers};
use crate::member::{Member, unparsable};
use crate::server::body::Answer;
use crate::server::frame::{Frame, PREFIX_BYTES, encode_into};
use crate::server::message::announced;
use crate::server::method::Method;
use crate::server::status::{Failure, error_trailers, ok_trailers};

/// A request is an id: anything longer is not one.
const REQUEST_BYTES_MAX: usize = 1024;

/// Leases renewed in one go.
const BATCH_MAX: usize = 1000;

/// Opens a stream.
pub fn keep_alive(member: &Arc<Member>, body: Incoming) -> Answer {
    Answer::Frames(Box::pin(KeepAlive {
        member: member.clone(),
        requests: body,
        unread: BytesMut::new(),
        requests_ended: false,
        asking: None,
        stopped: Box::pin({
            let member = member.clone();
            async move { member.stopped().await }
        }),
        outcome: None,
    }))
}

struct KeepAlive {
    member: Arc<Member>,
    requests: Incoming,
    unread: BytesMut,
    requests_ended: bool,
    /// The leader is being asked; answers keep the order of the requests.
    asking: Option<BoxFuture<'static, Result<BytesMut, Error>>>,
    /// Resolves when the member stops.
    stopped: BoxFuture<'static, ()>,
    /// How the stream ended; set with the trailers.
    outcome: Option<Code>,
}

impl Body for KeepAlive {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        if self.outcome.is_some() {
            return Poll::Ready(None);
        }
        let step = match self.poll_step(context) {
            Poll::Ready(step) => step,
            // Looked at only when there is nothing to answer.
            Poll::Pending => {
                ready!(self.stopped.as_mut().poll(context));
                Err(Error::Stopped.into())
            }
        };
        Poll::Ready(Some(Ok(match step {
            Ok(Some(answers)) => BodyFrame::data(Frame::plain(answers.freeze())),
            Ok(None) => self.end(Code::Ok, ok_trailers()),
            Err(failure) => self.end(failure.code, error_trailers(failure.code, &failure.text)),
        })))
    }

    fn is_end_stream(&self) -> bool {
        self.outcome.is_some()
    }
}

impl KeepAlive {
    fn end(&mut self, code: Code, trailers: http::HeaderMap) -> BodyFrame<Frame> {
        self.outcome = Some(code);
        BodyFrame::trailers(trailers)
    }

    /// The next answers; `None` when the client has ended its stream and everything is answered.
    fn poll_step(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<BytesMut>, Failure>> {
        loop {
            if let Some(asking) = &mut self.asking {
                let answers = ready!(asking.as_mut().poll(context));
                self.asking = None;
                return Poll::Ready(answers.map(Some).map_err(Failure::from));
            }
            let ids = match take_ids(&mut self.unread) {
                Ok(ids) => ids,
                Err(failure) => return Poll::Ready(Err(failure)),
            };
            if !ids.is_empty() {
                if let Some(answers) = self.renew(ids) {
                    return Poll::Ready(answers.map(Some).map_err(Failure::from));
                }
            } else if self.requests_ended {
                return Poll::Ready(Ok(None));
            } else {
                ready!(self.poll_requests(context))?;
            }
        }
    }

    /// Renews at once when this member leads; otherwise starts asking the leader.
    fn renew(&mut self, ids: Vec<i64>) -> Option<Result<BytesMut, Error>> {
        let metrics = &self.member.metrics.grpc;
        metrics.received(Method::LeaseKeepAlive, ids.len() as u64, 0);
        match self.member.leases.renew(ids.iter().copied().map(LeaseId)) {
            Ok(ttls) => Some(Ok(answers(&self.member, &ids, ttls))),
            Err(_elsewhere) => {
                self.asking = Some(Box::pin(ask_leader(self.member.clone(), ids)));
                None
            }
        }
    }

    fn poll_requests(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        match ready!(Pin::new(&mut self.requests).poll_frame(context)) {
            None => self.requests_ended = true,
            Some(Err(_)) => {
                return Poll::Ready(Err(Failure::new(Code::Cancelled, "the client went away")));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    self.unread.extend_from_slice(&data);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for KeepAlive {
    fn drop(&mut self) {
        let code = self.outcome.unwrap_or(Code::Cancelled);
        self.member.metrics.grpc.end(Method::LeaseKeepAlive, code);
    }
}

async fn ask_leader(member: Arc<Member>, ids: Vec<i64>) -> Result<BytesMut, Error> {
    let question = numbers(ids.iter().copied());
    let answer = member.node.call_leader(RENEW, question).await?;
    let ttls: Vec<i64> = read_numbers(&answer)?.collect();
    if ttls.len() != ids.len() {
        return Err(Error::Internal("the leader answered for other leases".to_owned()));
    }
    Ok(answers(&member, &ids, ttls))
}

fn answers(member: &Member, ids: &[i64], ttls: Vec<i64>) -> BytesMut {
    let header = member.header();
    let mut buffer = BytesMut::new();
    for (id, ttl) in ids.iter().zip(ttls) {
        let response = LeaseKeepAliveResponse { header: Some(header), id: *id, ttl };
        encode_into(&response, &mut buffer);
    }
    let bytes = buffer.len() - ids.len() * PREFIX_BYTES;
    member.metrics.grpc.sent(Method::LeaseKeepAlive, ids.len() as u64, bytes);
    buffer
}

/// Takes the complete requests off the front, at most [`BATCH_MAX`].
fn take_ids(unread: &mut BytesMut) -> Result<Vec<i64>, Failure> {
    let mut ids = Vec::new();
    while ids.len() < BATCH_MAX
        && let Some(length) = announced(unread, REQUEST_BYTES_MAX)?
        && unread.len() >= PREFIX_BYTES + length
    {
        unread.advance(PREFIX_BYTES);
        let message = Bytes::from(unread.split_to(length));
        let request = LeaseKeepAliveRequest::decode(message).map_err(|error| unparsable(&error))?;
        ids.push(request.id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_taken_whole_and_in_order() {
        let mut sent = BytesMut::new();
        for id in [5, 0, i64::MAX] {
            encode_into(&LeaseKeepAliveRequest { id }, &mut sent);
        }
        let whole = sent.len();
        let tail = sent.split_off(whole - 1);
        assert_eq!(take_ids(&mut sent).expect("valid"), [5, 0]);
        assert!(take_ids(&mut sent).expect("valid").is_empty());
        sent.unsplit(tail);
        assert_eq!(take_ids(&mut sent).expect("valid"), [i64::MAX]);
        assert!(sent.is_empty());
    }

    #[test]
    fn a_batch_is_bounded() {
        let mut sent = BytesMut::new();
        (0..=BATCH_MAX as i64).for_each(|id| encode_into(&LeaseKeepAliveRequest { id }, &mut sent));
        assert_eq!(take_ids(&mut sent).expect("valid").len(), BATCH_MAX);
        assert_eq!(take_ids(&mut sent).expect("valid").len(), 1);
    }

    #[test]
    fn what_is_no_request_ends_the_stream() {
        let mut sent = BytesMut::from(&[0, 0, 1, 0, 0][..]);
        assert_eq!(take_ids(&mut sent).unwrap_err().code, Code::ResourceExhausted);
    }
}
