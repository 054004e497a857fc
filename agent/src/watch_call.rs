//! Puts the watch service on the port and the member behind it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use api::etcdserverpb::ResponseHeader;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame as BodyFrame};
use hyper::body::Incoming;
use raft::{Leadership, Node};
use store::HistoryError;
use store::watch::Past;
use tonic::{Code, Status};

use crate::member::Member;
use crate::server::body::Answer;
use crate::server::frame::Frame;
use crate::server::method::Method;
use crate::server::status::Failure;
use crate::watch::{StorePast, WatchSource, WatchStream};

/// Opens a watch stream.
///
/// # Errors
/// `NoLeader` when the client asked to be told and there is none.
pub fn open(member: &Arc<Member>, headers: &HeaderMap, body: Incoming) -> Result<Answer, Failure> {
    let stream = member.watch.open(headers, body)?;
    Ok(Answer::Frames(Box::pin(Watch { member: member.clone(), stream, code: Code::Cancelled })))
}

/// The stream, counted.
struct Watch {
    member: Arc<Member>,
    stream: WatchStream,
    code: Code,
}

impl Body for Watch {
    type Data = Frame;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Frame>, Status>>> {
        Pin::new(&mut self.stream).poll_frame(context).map(|frame| {
            let frame = frame?;
            if let Ok(frame) = &frame {
                self.count(frame);
            }
            Some(frame.map(|frame| frame.map_data(Frame::plain)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }
}

impl Watch {
    fn count(&mut self, frame: &BodyFrame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.member.metrics.grpc.sent(Method::Watch, 1, data.len());
        } else if let Some(trailers) = frame.trailers_ref() {
            let status = trailers
                .get("grpc-status")
                .map_or(Code::Unknown, |status| Code::from_bytes(status.as_bytes()));
            self.code = status;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.member.metrics.grpc.end(Method::Watch, self.code);
    }
}

/// The member, as the watch service needs it.
pub struct MemberSource {
    node: Node,
    leadership: tokio::sync::watch::Receiver<Leadership>,
    past: StorePast,
    fatal: Box<dyn Fn(String) + Send + Sync>,
}

impl MemberSource {
    /// `fatal` is told when the history cannot be read.
    pub fn new(node: Node, fatal: impl Fn(String) + Send + Sync + 'static) -> Self {
        let past = StorePast::new(node.store().clone(), Arc::new(node.backend().clone()));
        Self { leadership: node.leadership(), past, node, fatal: Box::new(fatal) }
    }
}

impl WatchSource for MemberSource {
    fn past(&self) -> &dyn Past {
        &self.past
    }

    fn header(&self) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.node.cluster_id(),
            member_id: self.node.member_id().0,
            revision: self.past.store().current_revision(),
            raft_term: self.node.term(),
        }
    }

    fn has_leader(&self) -> bool {
        self.leadership.borrow().leader.is_some()
    }

    fn leadership_changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        // Subscribed now, so that no change after this call is missed.
        let mut leadership = self.leadership.clone();
        leadership.mark_unchanged();
        Box::pin(async move {
            if leadership.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }

    fn history_failed(&self, error: &HistoryError) {
        (self.fatal)(format!("the database could not be read: {error}"));
    }
}
