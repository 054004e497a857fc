//! The peer port: accepts connections and serves what other members ask.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use api::Error;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream;
use openraft::raft::AppendEntriesRequest;
use storage::SnapshotWriter;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedRwLockReadGuard, Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;

use super::discover::{Discovered, DiscoveredMember};
use super::frame::{self, Frame, Kind, PREFACE};
use super::install::{Gate, install};
use super::message as wire;
use super::message::{Hello, Method, Refusal};
use super::traffic::Traffic;
use super::web;
use crate::codec::{DecodeError, Wire};
use crate::controller::{Announcement, Claim, ClaimAnswer};
use crate::machine::SnapshotData;
use crate::node::Shared;
use crate::types::{Snapshot, SnapshotMeta, TypeConfig, Vote};

/// Connections at once. A member keeps about five to each peer; the rest is room for garbage.
const CONNECTIONS_MAX: usize = 1024;

/// How long a new connection may take to say who it is.
const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Appends of one connection handed to raft and not answered yet.
const APPENDS_QUEUED_MAX: usize = 64;

/// Other requests of one connection worked on at once; beyond it the connection is not read.
const REQUESTS_AT_ONCE: usize = 256;

/// Replies waiting for the socket.
const REPLIES_QUEUED_MAX: usize = 1024;

/// When a claimant should ask again that met a member without a leader.
const NO_LEADER_PAUSE_MS: u64 = 1_000;

/// Pause after a failed accept, so that running out of file descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves a listener until the node stops.
pub(crate) async fn serve(shared: Arc<Shared>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    // Dropped with this task: no connection outlives the node.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    if let Err(error) = converse(shared, stream).await {
                        tracing::debug!(%from, %error, "peer connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a peer connection failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// One connection from its first byte to its last.
async fn converse(shared: Arc<Shared>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let opened = tokio::time::timeout(HELLO_TIMEOUT, open(&shared, &mut stream)).await;
    let hello = match opened.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? {
        Opening::Session(hello) => hello,
        Opening::Question(frame) => return answer_question(&shared, &mut stream, frame).await,
        Opening::Page(first) => return answer_page(&shared, &mut stream, &first).await,
    };
    let (read, write) = stream.into_split();
    let (replies, queued) = mpsc::channel(REPLIES_QUEUED_MAX);
    let mut tasks = JoinSet::new();
    let traffic = shared.local.traffic(hello.from);
    tasks.spawn(write_replies(write, queued, traffic.clone()));
    // Whichever half ends first ends the connection; dropping the set ends the other.
    tokio::select! {
        read = Session::new(shared, hello.from, replies).read_all(read, &traffic) => read,
        _ = tasks.join_next() => Ok(()),
    }
}

/// What a connection is opened for.
enum Opening {
    /// A member that has said who it is.
    Session(Hello),
    /// A single question of somebody who may have no identity.
    Question(Frame),
    /// A page; its first bytes are read.
    Page([u8; PREFACE.len()]),
}

/// The hand-shake.
async fn open(shared: &Shared, stream: &mut TcpStream) -> io::Result<Opening> {
    let mut preface = [0; PREFACE.len()];
    stream.read_exact(&mut preface).await?;
    if web::is_request(&preface) {
        return Ok(Opening::Page(preface));
    }
    if &preface != PREFACE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not the peer protocol"));
    }
    let frame = next_frame(stream).await?;
    let mut payload = frame.payload;
    match frame.kind {
        Kind::Hello => {
            let hello = Hello::parse(&mut payload).map_err(io::Error::other)?;
            welcome(shared, stream, hello).await.map(Opening::Session)
        }
        Kind::Discover | Kind::Claim | Kind::Announce => {
            Ok(Opening::Question(Frame { payload, ..frame }))
        }
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the first frame is no hand-shake")),
    }
}

/// Answers the one question a connection was opened for. A claim goes to the leader, which may
/// take as long as any request of a client.
async fn answer_question(shared: &Shared, stream: &mut TcpStream, asked: Frame) -> io::Result<()> {
    let mut payload = asked.payload;
    let answer = match asked.kind {
        Kind::Claim => {
            let claim = Claim::parse(&mut payload).map_err(io::Error::other)?;
            pass_on(shared, &claim).await.to_bytes()
        }
        Kind::Announce => {
            let announced = Announcement::parse(&mut payload).map_err(io::Error::other)?;
            shared.hear_announcement(&announced).await;
            Bytes::new()
        }
        _ => discovered(shared).to_bytes(),
    };
    let reply = Frame::new(Kind::Reply, asked.number, answer);
    let written = tokio::time::timeout(HELLO_TIMEOUT, frame::write(stream, &reply)).await;
    written.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Answers a request for a page.
async fn answer_page(shared: &Shared, stream: &mut TcpStream, first: &[u8]) -> io::Result<()> {
    let (cluster, members) = (shared.local.cluster, shared.members());
    let answer = web::answer(stream, first, cluster, &members);
    tokio::time::timeout(HELLO_TIMEOUT, answer)
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Has the leader answer a claim.
async fn pass_on(shared: &Shared, claim: &Claim) -> ClaimAnswer {
    let answer = shared.call_leader(Method::Claim as u8, claim.to_bytes()).await;
    match answer.map(|mut answer| ClaimAnswer::parse(&mut answer)) {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => ClaimAnswer::Refuse { reason: format!("the leader's answer: {error}") },
        Err(error) => ClaimAnswer::Wait {
            reason: format!("the cluster has no leader that answers: {error}"),
            after_ms: NO_LEADER_PAUSE_MS,
        },
    }
}

async fn next_frame(stream: &mut TcpStream) -> io::Result<Frame> {
    frame::read(stream).await?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

async fn welcome(shared: &Shared, stream: &mut TcpStream, hello: Hello) -> io::Result<Hello> {
    // Pinning a peer seen for the first time writes a file.
    let checked = tokio::task::block_in_place(|| shared.local.check_peer(&hello));
    match checked {
        Ok(()) => {
            let answer = shared.local.hello(hello.from).to_bytes();
            frame::write(stream, &Frame::new(Kind::Welcome, 0, answer)).await?;
            Ok(hello)
        }
        Err(refusal) => {
            refuse(stream, &refusal).await?;
            Err(io::Error::new(io::ErrorKind::ConnectionRefused, refusal.text))
        }
    }
}

async fn refuse(stream: &mut TcpStream, refusal: &Refusal) -> io::Result<()> {
    frame::write(stream, &Frame::new(Kind::Refused, 0, refusal.to_bytes())).await
}

fn discovered(shared: &Shared) -> Discovered {
    let membership = shared.membership();
    let members = membership
        .nodes()
        .map(|(id, peer)| DiscoveredMember {
            id: *id,
            peer_urls: peer.peer_urls.clone(),
            is_pinned: peer.incarnation.is_some(),
        })
        .collect();
    let removed = shared.tombstones().iter().map(|gone| gone.id.0).collect();
    Discovered { cluster: shared.local.cluster, members, removed }
}

async fn write_replies(
    mut socket: OwnedWriteHalf,
    mut replies: mpsc::Receiver<Frame>,
    traffic: Arc<Traffic>,
) {
    const WRITE_BYTES_MAX: usize = 256 << 10;
    let mut buffer = BytesMut::new();
    while let Some(reply) = replies.recv().await {
        reply.put(&mut buffer);
        while buffer.len() < WRITE_BYTES_MAX {
            let Ok(reply) = replies.try_recv() else { break };
            reply.put(&mut buffer);
        }
        if socket.write_all(&buffer).await.is_err() {
            return traffic.send_failed();
        }
        traffic.sent(buffer.len());
        buffer.clear();
    }
}

/// The reading side of an accepted connection.
struct Session {
    shared: Arc<Shared>,
    from: u64,
    replies: mpsc::Sender<Frame>,
    appends: Option<mpsc::Sender<(Append, AppendEntriesRequest<TypeConfig>)>>,
    snapshot: Option<Incoming>,
    working: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

/// A snapshot being received.
struct Incoming {
    vote: Vote,
    meta: SnapshotMeta,
    writer: SnapshotWriter,
}

impl Session {
    fn new(shared: Arc<Shared>, from: u64, replies: mpsc::Sender<Frame>) -> Self {
        Self {
            shared,
            from,
            replies,
            appends: None,
            snapshot: None,
            working: Arc::new(Semaphore::new(REQUESTS_AT_ONCE)),
            tasks: JoinSet::new(),
        }
    }

    async fn read_all(mut self, socket: OwnedReadHalf, traffic: &Traffic) -> io::Result<()> {
        let mut socket = BufReader::with_capacity(64 << 10, socket);
        let failed = |_: &io::Error| traffic.receive_failed();
        while let Some(frame) = frame::read(&mut socket).await.inspect_err(failed)? {
            traffic.received(frame.len());
            while self.tasks.try_join_next().is_some() {}
            if self.shared.local.machine.is_removed(self.from) {
                // Its next hand-shake tells it why.
                return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it was removed"));
            }
            self.handle(frame).await?;
        }
        Ok(())
    }

    async fn handle(&mut self, frame: Frame) -> io::Result<()> {
        match frame.kind {
            Kind::Append => self.append(frame).await,
            Kind::SnapshotBegin | Kind::SnapshotChunk | Kind::SnapshotEnd => {
                let number = frame.number;
                let answer = self.snapshot(frame).await?;
                let reply = self.replies.send(Frame::new(Kind::Reply, number, answer));
                reply.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
            }
            Kind::Propose => {
                let replies = self.replies.clone();
                self.shared.propose_for_peer(frame.number, frame.payload, replies).await;
                Ok(())
            }
            Kind::Vote | Kind::PreVote | Kind::Transfer | Kind::ReadIndex | Kind::Call => {
                self.work(frame).await
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a request")),
        }
    }

    /// Hands an append to raft in the order of arrival; the replies follow in the same order.
    async fn append(&mut self, frame: Frame) -> io::Result<()> {
        self.shared.local.hears();
        let append = Append { number: frame.number, payload: frame.payload.clone() };
        let mut payload = frame.payload;
        let request = wire::take_append(&mut payload).map_err(io::Error::other)?;
        let taken = self.appends().send((append, request)).await;
        taken.map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "raft takes no appends"))
    }

    fn appends(&mut self) -> &mpsc::Sender<(Append, AppendEntriesRequest<TypeConfig>)> {
        self.appends.get_or_insert_with(|| {
            let (sender, receiver) = mpsc::channel(APPENDS_QUEUED_MAX);
            self.tasks.spawn(answer_appends(self.shared.clone(), receiver, self.replies.clone()));
            sender
        })
    }

    /// Answers a small request without holding up the ones behind it.
    async fn work(&mut self, frame: Frame) -> io::Result<()> {
        let permit = self.working.clone().acquire_owned().await.map_err(io::Error::other)?;
        let (shared, replies, from) = (self.shared.clone(), self.replies.clone(), self.from);
        self.tasks.spawn(async move {
            let number = frame.number;
            if let Ok(reply) = answer(&shared, from, frame).await {
                // The connection may have ended meanwhile.
                let _ = replies.send(Frame { number, ..reply }).await;
            }
            drop(permit);
        });
        Ok(())
    }

    async fn snapshot(&mut self, frame: Frame) -> io::Result<Bytes> {
        self.shared.local.hears();
        let mut payload = frame.payload;
        match frame.kind {
            Kind::SnapshotBegin => {
                let (vote, meta) =
                    wire::take_snapshot_begin(&mut payload).map_err(io::Error::other)?;
                let backend = &self.shared.local.machine.backend;
                let writer =
                    tokio::task::block_in_place(|| backend.receive()).map_err(io::Error::other)?;
                self.snapshot = Some(Incoming { vote, meta, writer });
                Ok(Bytes::new())
            }
            Kind::SnapshotChunk => {
                let incoming = self.snapshot.as_mut().ok_or_else(no_snapshot)?;
                tokio::task::block_in_place(|| incoming.writer.write(&payload))
                    .map_err(io::Error::other)?;
                Ok(Bytes::new())
            }
            _ => self.finish_snapshot().await,
        }
    }

    async fn finish_snapshot(&mut self) -> io::Result<Bytes> {
        let mut incoming = self.snapshot.take().ok_or_else(no_snapshot)?;
        tokio::task::block_in_place(|| incoming.writer.finish()).map_err(io::Error::other)?;
        let data = SnapshotData::Incoming(Box::new(incoming.writer));
        let snapshot = Snapshot { meta: incoming.meta, snapshot: data };
        install(self.shared.clone(), incoming.vote, snapshot).await.map(|vote| vote.to_bytes())
    }
}

fn no_snapshot() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a piece of a snapshot that was not begun")
}

/// An append as it arrived. Its bytes are kept: raft may have to be told a second time.
struct Append {
    number: u64,
    payload: Bytes,
}

/// Feeds one connection's appends to raft and its results back: every append gets an answer.
/// openraft's stream ends at the first result that is no success and drops what it has taken
/// behind it, which may be the next try of the leader; so whatever is unanswered then begins a new
/// stream. Raft takes an append twice as well as once.
async fn answer_appends(
    shared: Arc<Shared>,
    requests: mpsc::Receiver<(Append, AppendEntriesRequest<TypeConfig>)>,
    replies: mpsc::Sender<Frame>,
) {
    let requests = Arc::new(Mutex::new(requests));
    let mut unanswered = VecDeque::new();
    loop {
        let (taken, mut in_raft) = mpsc::channel(2 * APPENDS_QUEUED_MAX);
        let (end, is_over) = oneshot::channel();
        let requests = requests.clone().lock_owned().await;
        let feed = AppendFeed { unanswered, requests, taken, gate: shared.gate.clone(), is_over };
        let input = stream::unfold(feed, AppendFeed::next);
        let mut results = Box::pin(shared.raft.stream_append(Box::pin(input)));
        loop {
            let Some(Ok(result)) = results.next().await else { return };
            let Some((append, _passed)) = in_raft.recv().await else { return };
            let frame = Frame::new(Kind::Reply, append.number, wire::put_append_result(&result));
            if replies.send(frame).await.is_err() {
                return;
            }
            if result.is_err() {
                break;
            }
        }
        drop((results, end));
        unanswered = VecDeque::new();
        // Each lets go of the gate here: an installation that waits for them must not hold up the
        // feed, which this waits for.
        while let Some((append, _passed)) = in_raft.recv().await {
            unanswered.push_back(append);
        }
    }
}

/// What one of openraft's streams is fed from.
struct AppendFeed {
    /// Taken by the stream before and not answered.
    unanswered: VecDeque<Append>,
    requests: OwnedMutexGuard<mpsc::Receiver<(Append, AppendEntriesRequest<TypeConfig>)>>,
    /// Tells the order in which results are to be expected.
    taken: mpsc::Sender<(Append, OwnedRwLockReadGuard<()>)>,
    gate: Gate,
    /// Resolves when the stream has ended: then nothing more is taken.
    is_over: oneshot::Receiver<()>,
}

impl AppendFeed {
    async fn next(mut self) -> Option<(AppendEntriesRequest<TypeConfig>, Self)> {
        let (append, request) = match self.unanswered.pop_front() {
            Some(append) => {
                let request = wire::take_append(&mut append.payload.clone()).ok()?;
                (append, request)
            }
            None => tokio::select! {
                biased;
                _ = &mut self.is_over => return None,
                received = self.requests.recv() => received?,
            },
        };
        let passed = self.gate.pass().await;
        self.taken.send((append, passed)).await.ok()?;
        Some((request, self))
    }
}

/// Answers what is not an append, a snapshot or a proposal. An undecodable request ends in no
/// answer: the other side is broken.
async fn answer(shared: &Shared, from: u64, frame: Frame) -> Result<Frame, DecodeError> {
    let mut payload = frame.payload;
    let answer = match frame.kind {
        Kind::Vote => {
            let request = wire::take_vote_request(&mut payload)?;
            shared
                .raft
                .vote(request)
                .await
                .map(|vote| wire::put_vote_response(&vote))
                .map_err(stopped)
        }
        Kind::PreVote => {
            let request = wire::take_vote_request(&mut payload)?;
            shared
                .raft
                .pre_vote(request)
                .await
                .map(|vote| wire::put_vote_response(&vote))
                .map_err(stopped)
        }
        Kind::Transfer => {
            let request = wire::take_transfer(&mut payload)?;
            match shared.raft.handle_transfer_leader(request).await {
                Ok(Ok(())) => Ok(Bytes::new()),
                Ok(Err(refused)) => {
                    tracing::info!(%refused, "leadership transfer to this member refused");
                    Ok(Bytes::new())
                }
                Err(error) => Err(stopped(error)),
            }
        }
        Kind::ReadIndex => shared.leader_read_index().await.map(|index| index.to_bytes()),
        _ => {
            let method = u8::parse(&mut payload)?;
            shared.answer_call(from, method, payload).await
        }
    };
    Ok(match answer {
        Ok(payload) => Frame::new(Kind::Reply, frame.number, payload),
        Err(error) => Frame::new(Kind::Failure, frame.number, error.to_bytes()),
    })
}

fn stopped(error: impl std::fmt::Display) -> Error {
    tracing::debug!(%error, "raft does not answer");
    Error::Stopped
}
