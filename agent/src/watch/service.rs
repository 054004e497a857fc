//! The method `/etcdserverpb.Watch/Watch`.

use std::sync::Arc;

use api::Error;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::Body;
use tonic::Status;
use tonic::server::NamedService;

use super::hub::Hub;
use super::source::WatchSource;
use super::stream::WatchStream;

/// Metadata by which a client asks to be told when there is no leader.
const NEEDS_LEADER: &str = "hasleader";

/// Opens streams on the hub.
#[derive(Clone)]
pub struct WatchService {
    hub: Arc<Hub>,
    source: Arc<dyn WatchSource>,
}

impl NamedService for WatchService {
    const NAME: &'static str = "etcdserverpb.Watch";
}

impl WatchService {
    /// Serves the watchers of `hub`, whose task must be running ([`Hub::run`]). Made once the
    /// source's store is loaded, before the first call: what the hub did not see lies in history.
    pub fn new(hub: Arc<Hub>, source: Arc<dyn WatchSource>) -> Self {
        hub.replaced(source.header().revision);
        Self { hub, source }
    }

    /// The hub whose watchers are served.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Answers one call: the response starts at once and goes on as long as its body is polled.
    pub async fn call<B>(&self, request: Request<B>) -> Response<tonic::body::Body>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (head, body) = request.into_parts();
        match self.open(&head.headers, body) {
            Ok(stream) => {
                let mut response = Response::new(tonic::body::Body::new(stream));
                let kind = HeaderValue::from_static("application/grpc");
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            Err(error) => Status::from(error).into_http(),
        }
    }

    /// The body of the response to a call with these headers and this body.
    ///
    /// # Errors
    /// `NoLeader` when the client asked to be told and there is none.
    pub fn open<B>(&self, headers: &HeaderMap, body: B) -> Result<WatchStream, Error>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let needs_leader = headers.get(NEEDS_LEADER).is_some_and(|value| value == "true");
        if needs_leader && !self.source.has_leader() {
            return Err(Error::NoLeader);
        }
        Ok(WatchStream::new(self.hub.clone(), self.source.clone(), needs_leader, body))
    }
}
