//! Takes connections on the admin socket and serves them, for as long as the process lives.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::routes;
use super::socket::{self, SocketFile};
use crate::life::Life;

/// Connections at once: a few hooks and people. The next ones wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 16;

/// How long a client may take to send its headers; also how long an idle connection is kept.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const HEAD_BYTES_MAX: usize = 16 << 10;

/// A pause after a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How long answers in progress may take at the end of the process.
const DRAIN_MAX: Duration = Duration::from_secs(1);

/// The open socket; its file goes with it.
pub struct Server {
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    file: SocketFile,
}

impl Server {
    /// Opens the socket at `path` and serves what `life` can tell and do.
    ///
    /// # Errors
    /// One line that names the path, what is wrong, and what to do.
    pub async fn open(path: &Path, life: Arc<Life>) -> anyhow::Result<Self> {
        let (listener, file) = socket::listen(path).await?;
        tracing::info!(path = %path.display(), "the admin socket is open");
        let (stop, stopping) = watch::channel(false);
        let serving = tokio::spawn(serve(listener, life, stopping));
        Ok(Self { stop, serving, file })
    }

    /// Takes no more connections, removes the file, and lets answers in progress finish.
    pub async fn close(mut self) {
        drop(self.file);
        self.stop.send_replace(true);
        if tokio::time::timeout(DRAIN_MAX, &mut self.serving).await.is_err() {
            self.serving.abort();
        }
    }
}

async fn serve(listener: UnixListener, life: Arc<Life>, mut stopping: watch::Receiver<bool>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let accept = async {
            // The semaphore is never closed.
            let place = places.clone().acquire_owned().await.ok();
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accept => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
            // Results of connections that have ended are not kept.
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) if may_ask(&stream) => {
                let (life, stopping) = (life.clone(), stopping.clone());
                connections.spawn(async move {
                    connection(stream, life, stopping).await;
                    drop(place);
                });
            }
            Ok(_) => {}
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection on the admin socket");
                tokio::time::sleep(ACCEPT_RETRY).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// Root and this process's user. The mode of the file says the same; this holds also when somebody
/// has changed it.
fn may_ask(stream: &UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == 0 || peer.uid() == own => true,
        Ok(peer) => {
            tracing::warn!(uid = peer.uid(), "refused another user on the admin socket");
            false
        }
        Err(error) => {
            tracing::warn!(%error, "could not tell who connects to the admin socket");
            false
        }
    }
}

async fn connection(stream: UnixStream, life: Arc<Life>, mut stopping: watch::Receiver<bool>) {
    let service = service_fn(|request| {
        let life = life.clone();
        async move { Ok::<_, Infallible>(routes::answer(&life, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX);
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // What a client did to its own connection is nothing to report.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stopping.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
