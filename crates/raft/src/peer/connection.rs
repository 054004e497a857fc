//! One open connection to a peer: requests go out in order, replies come back by number.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api::Error;
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};

use super::frame::{self, Frame, Kind};
use super::traffic::Traffic;
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
type PendingReplies = Mutex<HashMap<u64, Waiting>>;

/// Who waits for a reply, and since when.
struct Waiting {
    reply: oneshot::Sender<Reply>,
    since: Instant,
}

/// A connection after its hand-shake.
pub(super) struct Connection {
    queue: mpsc::Sender<Frame>,
    state: Arc<State>,
}

struct State {
    pending: PendingReplies,
    closed: AtomicBool,
    next: AtomicU64,
    traffic: Arc<Traffic>,
    measures_round_trips: bool,
}

impl Connection {
    /// Starts the two tasks that serve the socket; they end with it, or when the connection is
    /// dropped.
    pub(super) fn start(
        stream: TcpStream,
        notices: Notices,
        traffic: Arc<Traffic>,
        measures_round_trips: bool,
    ) -> Self {
        let (queue, frames) = mpsc::channel(QUEUE_FRAMES_MAX);
        let state = Arc::new(State {
            pending: Mutex::default(),
            closed: AtomicBool::new(false),
            next: AtomicU64::new(1),
            traffic: traffic.clone(),
            measures_round_trips,
        });
        let (read, write) = stream.into_split();
        tokio::spawn(write_all(write, frames, traffic));
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
        let (reply, receiver) = oneshot::channel();
        let waiting = Waiting { reply, since: Instant::now() };
        self.state.pending.lock().insert(number, waiting);
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
async fn write_all(
    mut socket: OwnedWriteHalf,
    mut frames: mpsc::Receiver<Frame>,
    traffic: Arc<Traffic>,
) {
    let mut buffer = BytesMut::new();
    while let Some(frame) = frames.recv().await {
        frame.put(&mut buffer);
        while buffer.len() < WRITE_BYTES_MAX {
            let Ok(frame) = frames.try_recv() else { break };
            frame.put(&mut buffer);
        }
        if socket.write_all(&buffer).await.is_err() {
            return traffic.send_failed();
        }
        traffic.sent(buffer.len());
        buffer.clear();
        if buffer.capacity() > 4 * WRITE_BYTES_MAX {
            buffer = BytesMut::new();
        }
    }
}

/// Reads replies until the socket closes, then fails whatever is still waiting.
async fn read_all(socket: OwnedReadHalf, state: Arc<State>, notices: Notices) {
    let mut socket = BufReader::new(socket);
    while let Some(frame) = next_frame(&mut socket, &state.traffic).await {
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
        let waiting = state.pending.lock().remove(&frame.number);
        if let Some(waiting) = waiting {
            if state.measures_round_trips {
                state.traffic.round_trip(waiting.since.elapsed());
            }
            // The caller may have stopped waiting; a late reply was a round trip all the same.
            let _ = waiting.reply.send(reply);
        }
    }
    state.closed.store(true, Ordering::Release);
    state.pending.lock().clear();
}

/// The next frame, counted; `None` when the connection has ended, in order or not.
async fn next_frame(socket: &mut BufReader<OwnedReadHalf>, traffic: &Traffic) -> Option<Frame> {
    match frame::read(socket).await {
        Ok(frame) => {
            traffic.received(frame.as_ref().map_or(0, Frame::len));
            frame
        }
        Err(_) => {
            traffic.receive_failed();
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use store::MemberId;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_reply_nobody_waits_for_is_a_round_trip_too() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let stream = TcpStream::connect(address).await.expect("connected");
        let (mut peer, _) = listener.accept().await.expect("connected");
        let traffic = Arc::new(Traffic::default());
        let connection = Connection::start(stream, Arc::new(|_, _| ()), traffic.clone(), true);
        drop(connection.send(Kind::Append, Bytes::from_static(b"late")).await.expect("queued"));
        let waiting = connection.send(Kind::Append, Bytes::new()).await.expect("queued");
        for _ in 0..2 {
            let request = frame::read(&mut peer).await.expect("a frame").expect("a frame");
            let answer = Frame::new(Kind::Reply, request.number, Bytes::from_static(b"yes"));
            frame::write(&mut peer, &answer).await.expect("sent");
        }
        reply(waiting, Duration::from_secs(20)).await.expect("an answer");
        let stats = traffic.stats(MemberId(1));
        assert_eq!(stats.round_trips.count(), 2);
        assert_eq!((stats.sent_bytes, stats.received_bytes), (2 * 17 + 4, 2 * (17 + 3)));
        assert_eq!((stats.send_failures, stats.receive_failures), (0, 0));
    }
}
