//! Listens on the client addresses and serves every connection that comes in.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use super::InlineFirst;
use super::authority::MendedAuthority;
use super::opening::{Protocol, recognize};
use super::threads::ConnectionThreads;
use crate::member::Member;

/// Connections served at once on all addresses; the next ones wait in the kernel's queue.
pub const CONNECTIONS_MAX: usize = 50_000;

/// How long a client may take to say which protocol it speaks, and in HTTP/1 to send its headers.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// How long answers in progress may take once the member stops; then they are cut off. The process
/// may live on without the member, so its end does not do that.
pub const DRAIN_MAX: Duration = Duration::from_secs(2);

/// Connections the kernel may hold for us.
const BACKLOG: u32 = 1024;

/// A pause after a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 8 << 20;
const FRAME_BYTES_MAX: u32 = 64 << 10;
/// Answer bytes buffered for one stream whose client reads slowly.
const SEND_BUFFER_BYTES_MAX: usize = 1 << 20;
const HEADER_LIST_BYTES_MAX: u32 = 16 << 10;
const HTTP1_BUFFER_BYTES_MAX: usize = 64 << 10;

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// gRPC and HTTP.
    Clients,
    /// `--listen-metrics-urls`: HTTP only.
    Metrics,
}

/// Takes an address.
///
/// # Errors
/// One line that names the address and what to do.
pub fn bind(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    listen(address, reuse_port).map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => {
                "another process listens there: stop it or choose another port"
            }
            io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
            io::ErrorKind::PermissionDenied => "a port below 1024 needs privileges",
            _ => "check the address",
        };
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error} ({hint})"))
    })
}

fn listen(address: SocketAddr, reuse_port: bool) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4(),
        SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(reuse_port)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves connections until told to stop, then lets what is in progress finish.
#[derive(Clone)]
pub struct Acceptor {
    member: Arc<Member>,
    connections: Arc<Semaphore>,
    threads: Arc<ConnectionThreads>,
    stop: watch::Receiver<bool>,
}

impl Acceptor {
    /// Serves until [`Member::stop`] turns true.
    pub fn new(member: Arc<Member>, threads: Arc<ConnectionThreads>) -> Self {
        let stop = member.stop.subscribe();
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { member, connections, threads, stop }
    }

    /// Accepts until told to stop.
    pub async fn run(mut self, listener: TcpListener, port: Port) {
        loop {
            let Ok(permit) = self.connections.clone().acquire_owned().await else { return };
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                _ = self.stop.wait_for(|stop| *stop) => return,
            };
            match accepted {
                Ok((stream, _)) => self.spawn(stream, port, permit),
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// Connections open now.
    pub fn open_connections(&self) -> usize {
        CONNECTIONS_MAX - self.connections.available_permits()
    }

    fn spawn(&self, stream: TcpStream, port: Port, permit: OwnedSemaphorePermit) {
        let this = self.clone();
        self.threads.spawn(stream, move |stream| async move {
            // Small answers must not wait for the client's acknowledgement of earlier ones.
            if stream.set_nodelay(true).is_ok() {
                this.serve(stream, port).await;
            }
            drop(permit);
        });
    }

    async fn serve<S>(self, stream: S, port: Port)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let opened = tokio::time::timeout(HEADERS_TIMEOUT, recognize(stream)).await;
        let Ok(Ok((protocol, stream))) = opened else { return };
        match protocol {
            Protocol::Http1 => self.serve_http1(TokioIo::new(stream), port).await,
            Protocol::Http2 => {
                let stream = MendedAuthority::new(stream, FRAME_BYTES_MAX as usize);
                self.serve_http2(TokioIo::new(stream), port).await;
            }
        }
    }

    async fn serve_http1<I>(mut self, io: I, port: Port)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let service = service_fn(|request| handle(self.member.clone(), port, request));
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(HEADERS_TIMEOUT)
            .max_buf_size(HTTP1_BUFFER_BYTES_MAX);
        let connection = builder.serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        // What a client did to its own connection is nothing to report.
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = tokio::time::timeout(DRAIN_MAX, connection).await;
    }

    async fn serve_http2<I>(mut self, io: I, port: Port)
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let service = service_fn(|request| handle(self.member.clone(), port, request));
        let connection = http2_builder(&self.member.limits).serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            _ = connection.as_mut() => return,
            _ = self.stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
        }
        let _ = tokio::time::timeout(DRAIN_MAX, connection).await;
    }
}

fn http2_builder(limits: &crate::limits::Limits) -> http2::Builder<InlineFirst> {
    let mut builder = http2::Builder::new(InlineFirst);
    builder
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_concurrent_streams(limits.streams_max)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX)
        .max_header_list_size(HEADER_LIST_BYTES_MAX)
        .max_send_buf_size(SEND_BUFFER_BYTES_MAX)
        .keep_alive_interval(limits.keepalive_interval)
        .keep_alive_timeout(limits.keepalive_timeout);
    builder
}

async fn handle(
    member: Arc<Member>,
    port: Port,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<super::body::Answer>, std::convert::Infallible> {
    match port {
        Port::Clients => super::handle(member, request).await,
        Port::Metrics => Ok(crate::http::handle(&member, request).await),
    }
}
