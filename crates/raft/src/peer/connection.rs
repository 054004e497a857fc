//! One open connection to a peer: requests go out in order, replies come back by number.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use api::Error;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::frame::{self, Frame, Kind};
use crate::codec::Wire;

/// Frames that may wait to be written. Replication keeps at most 64 requests of about 1 MiB in
/// flight; forwarded proposals are small and bounded by the clients' own limit.
const QUEUE_FRAMES_MAX: usize = 1024;

/// Frames joined into one write while the socket is busy.
const WRITE_BYTES_MAX: usize = 256 << 10;

/// What a peer sends that no request asked for.
pub(super) type Notices = Arc<dyn Fn(u64, Bytes) + Send + Sync>;

/// Why a request has no reply.
#[derive(Debug)]
pub(crate) enum LinkError {
    /// It was not sent, for certain.
    NotSent(io::Error),
    /// It may have been executed: the connection ended, or nothing came in time.
    Unknown(&'static str),
    /// The peer answered with an error.
    Failed(Error),
}

impl LinkError {
    /// What a client is told when its request to the leader went wrong on the way.
    pub(crate) fn into_etcd(self) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::NotSent(_) | Self::Unknown(_) => Error::TimeoutDueToConnectionLost,
        }
    }
}

impl std::fmt::Display for LinkError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(error) => write!(f, "not sent: {error}"),
            Self::Unknown(what) => write!(f, "outcome unknown: {what}"),
            Self::Failed(error) => write!(f, "the peer answered: {error}"),
        }
    }
}

impl std::error::Error for LinkError {}

type Reply = Result<Bytes, LinkError>;
type PendingReplies = Mutex<HashMap<u64, oneshot::Sender<Reply>>>;

/// A connection after its hand-shake.
pub(super) struct Connection {
    queue: mpsc::Sender<Frame>,
    state: Arc<State>,
}

struct State {
    pending: PendingReplies,
    closed: AtomicBool,
    next: AtomicU64,
}

impl Connection {
    /// Starts the two tasks that serve the socket; they end with it, or when the connection is
    /// dropped.
    pub(super) fn start(stream: TcpStream, notices: Notices) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES_MAX);
        let state = Arc::new(State {
            pending: Mutex::default(),
            closed: AtomicBool::new(false),
            next: AtomicU64::new(1),
        });
        let (read, write) = stream.into_split();
        tokio::spawn(write_all(write, frames));
        tokio::spawn(read_all(read, state.clone(), notices));
        Self { queue, state }
    }

    /// Whether new requests have no chance.
    pub(super) fn is_closed(&self) -> bool {
        self.state.closed.load(Ordering::Acquire) || self.queue.is_closed()
    }

    /// Queues a request; the receiver resolves with its reply.
    pub(super) async fn send(
        &self,
        kind: Kind,
        payload: Bytes,
    ) -> Result<oneshot::Receiver<Reply>, LinkError> {
        let number = self.state.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.state.pending.lock().insert(number, sender);
        if let Err(error) = self.notify(kind, number, payload).await {
            self.state.pending.lock().remove(&number);
            return Err(error);
        }
        if self.state.closed.load(Ordering::Acquire) {
            // The reader may have failed the pending requests just before ours was added.
            self.state.pending.lock().remove(&number);
        }
        Ok(receiver)
    }

    /// Queues a message that has no reply.
    pub(super) async fn notify(
        &self,
        kind: Kind,
        number: u64,
        payload: Bytes,
    ) -> Result<(), LinkError> {
        self.queue
            .send(Frame::new(kind, number, payload))
            .await
            .map_err(|_| LinkError::NotSent(io::ErrorKind::NotConnected.into()))
    }
}

/// Waits for a reply no longer than `limit`.
pub(super) async fn reply(receiver: oneshot::Receiver<Reply>, limit: Duration) -> Reply {
    match tokio::time::timeout(limit, receiver).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => Err(LinkError::Unknown("the connection was lost")),
        Err(_) => Err(LinkError::Unknown("no reply in time")),
    }
}

/// Writes frames until the queue or the socket closes; what is waiting goes out together.
async fn write_all(mut socket: OwnedWriteHalf, mut frames: mpsc::Receiver<Frame>) {
    let mut buffer = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        frame.put(&mut buffer);
        while buffer.len() < WRITE_BYTES_MAX {
            let Ok(frame) = frames.try_recv() else { break };
            frame.put(&mut buffer);
        }
        if socket.write_all(&buffer).await.is_err() {
            return;
        }
        buffer.clear();
        if buffer.capacity() > 4 * WRITE_BYTES_MAX {
            buffer = BytesMut::new();
        }
    }
}

/// Reads replies until the socket closes, then fails whatever is still waiting.
async fn read_all(socket: OwnedReadHalf, state: Arc<State>, notices: Notices) {
    let mut socket = BufReader::new(socket);
    while let Ok(Some(frame)) = frame::read(&mut socket).await {
        let mut payload = frame.payload;
        let reply = match frame.kind {
            Kind::Reply => Ok(payload),
            Kind::Failure => match Error::parse(&mut payload) {
                Ok(error) => Err(LinkError::Failed(error)),
                Err(_) => break,
            },
            Kind::ProposeFailed => {
                notices(frame.number, payload);
                continue;
            }
            _ => break,
        };
        if let Some(waiting) = state.pending.lock().remove(&frame.number) {
            // The caller may have stopped waiting.
            let _ = waiting.send(reply);
        }
    }
    state.closed.store(true, Ordering::Release);
    state.pending.lock().clear();
}
