//! One HTTP/2 connection to one endpoint, made again when it breaks.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use h2::client::{self, SendRequest};
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{Request, Uri};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::wire::reply::receive;
use crate::wire::status::{check_head, check_trailers};
use crate::wire::{CallError, Keep, Method, Reply, Stream};

/// A connection attempt that takes longer has failed.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// Window of one stream: a list of 1000 keys fits, so window updates stay rare.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Window of the connection: a few such lists at once.
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// A connection, shared by the clients of one thread. Lives on a `LocalSet`.
pub struct Channel {
    /// `host:port`.
    address: String,
    /// Prepared once: the parts of every request's pseudo-headers.
    uris: Vec<Uri>,
    sender: RefCell<Option<SendRequest<Bytes>>>,
    /// Held while connecting, so that many waiting clients make one new connection.
    connecting: Mutex<()>,
}

impl Channel {
    /// A channel to `http://host:port` or `host:port`, not connected yet.
    ///
    /// # Errors
    /// When the endpoint is no such address; TLS is not spoken here.
    pub fn new(endpoint: &str) -> anyhow::Result<Self> {
        let address = endpoint.strip_prefix("http://").unwrap_or(endpoint).trim_end_matches('/');
        let uris = Method::ALL.map(|method| {
            Uri::builder().scheme("http").authority(address).path_and_query(method.path()).build()
        });
        let uris = uris.into_iter().collect::<Result<_, _>>().with_context(|| {
            format!("endpoint {endpoint:?} is not host:port or http://host:port")
        })?;
        let (sender, connecting) = (RefCell::new(None), Mutex::new(()));
        Ok(Self { address: address.to_owned(), uris, sender, connecting })
    }

    /// Connects if not connected.
    ///
    /// # Errors
    /// [`CallError::Transport`] when nobody listens or the handshake fails.
    pub async fn connect(&self) -> Result<(), CallError> {
        self.sender().await.map(drop)
    }

    /// One request, one reply; the reply is returned only with grpc-status 0 and a revision.
    ///
    /// # Errors
    /// As [`CallError`] says; after a transport error the next call connects anew.
    pub async fn call(&self, method: Method, frame: Bytes, keep: Keep) -> Result<Reply, CallError> {
        let outcome = self.try_call(method, frame, keep).await;
        self.forget_if_broken(&outcome);
        outcome
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// As [`CallError`] says; after a transport error the next call connects anew.
    pub async fn stream(&self, method: Method) -> Result<Stream, CallError> {
        let mut sender = self.sender().await?;
        let opened = sender.send_request(self.request(method), false).map_err(CallError::from);
        self.forget_if_broken(&opened);
        let (head, send) = opened?;
        Ok(Stream::new(send, head))
    }

    async fn try_call(&self, method: Method, frame: Bytes, keep: Keep) -> Result<Reply, CallError> {
        let mut sender = self.sender().await?;
        let (head, mut send) = sender.send_request(self.request(method), false)?;
        send.send_data(frame, true)?;
        let response = head.await?;
        check_head(&response)?;
        let mut body = response.into_body();
        let reply = receive(&mut body, keep).await;
        let trailers = body.trailers().await?.ok_or(CallError::Reply("no trailers"))?;
        check_trailers(&trailers)?; // first: a failed call has no message
        let reply = reply?;
        reply.revision()?;
        Ok(reply)
    }

    fn request(&self, method: Method) -> Request<()> {
        let mut request = Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.uris[method as usize].clone();
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        request
    }

    async fn sender(&self) -> Result<SendRequest<Bytes>, CallError> {
        let connected = self.sender.borrow().clone();
        let sender = match connected {
            Some(sender) => sender,
            None => self.reconnect().await?,
        };
        let ready = sender.ready().await.map_err(CallError::from);
        self.forget_if_broken(&ready);
        ready
    }

    async fn reconnect(&self) -> Result<SendRequest<Bytes>, CallError> {
        let _alone = self.connecting.lock().await;
        if let Some(sender) = self.sender.borrow().clone() {
            return Ok(sender);
        }
        let sender = timeout(CONNECT_MAX, open(&self.address))
            .await
            .map_err(|_| CallError::Transport(format!("{}: connect timed out", self.address)))??;
        *self.sender.borrow_mut() = Some(sender.clone());
        Ok(sender)
    }

    /// A stale error of the old connection may drop a new one: that costs one more connect, and
    /// errors are the exception here.
    fn forget_if_broken<T>(&self, outcome: &Result<T, CallError>) {
        if outcome.as_ref().is_err_and(CallError::is_transport) {
            *self.sender.borrow_mut() = None;
        }
    }
}

async fn open(address: &str) -> Result<SendRequest<Bytes>, CallError> {
    let transport = |error: std::io::Error| CallError::Transport(format!("{address}: {error}"));
    let socket = TcpStream::connect(address).await.map_err(transport)?;
    socket.set_nodelay(true).map_err(transport)?;
    let (sender, connection) = client::Builder::new()
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .enable_push(false)
        .handshake(socket)
        .await?;
    // Its errors reach every call on it, and it ends when the last sender is dropped.
    tokio::task::spawn_local(async move { drop(connection.await) });
    Ok(sender)
}
