//! openraft's network traits over links.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, Stream, StreamExt};
use openraft::OptionalSend;
use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{RPCOption, RaftNetworkFactory, RaftNetworkV2};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendResult,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use tokio::sync::{mpsc, oneshot};

use super::connection::{LinkError, reply};
use super::frame::Kind;
use super::link::Link;
use super::message as wire;
use super::pool::Pool;
use crate::codec::DecodeError;
use crate::machine::SnapshotData;
use crate::types::{Peer, Snapshot, TypeConfig, Vote};

/// How long a follower may take to sync one append. A slow disk must not make the leader send the
/// same entries again and again; whether the leader still leads is the heartbeats' business.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// Appends on their way to one follower. The follower queues as many.
const APPENDS_IN_FLIGHT_MAX: usize = 64;

/// One piece of a snapshot, and how long storing it may take.
const SNAPSHOT_CHUNK_BYTES: usize = 1 << 20;
const SNAPSHOT_CHUNK_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a follower may take to switch to a snapshot of any size: it reads all of it once.
const SNAPSHOT_INSTALL_TIMEOUT: Duration = Duration::from_secs(600);

type RpcResult<T> = Result<T, RPCError<TypeConfig>>;

/// Makes the clients openraft asks for.
pub(crate) struct NetworkFactory(pub(crate) Arc<Pool>);

impl RaftNetworkFactory<TypeConfig> for NetworkFactory {
    type Network = Network;

    async fn new_client(&mut self, target: u64, peer: &Peer) -> Network {
        self.0.learn(target, peer);
        Network { target, pool: self.0.clone(), bulk: Arc::new(self.0.own(target)) }
    }

    async fn new_heartbeat_client(&mut self, target: u64, node: &Peer) -> Network {
        self.0.learn(target, node);
        // Nothing but empty appends takes this way: their answers tell how far away the peer is.
        let bulk = Arc::new(self.0.own(target).measuring_round_trips());
        Network { target, pool: self.0.clone(), bulk }
    }

    async fn new_snapshot_client(&mut self, target: u64, node: &Peer) -> Network {
        self.new_client(target, node).await
    }
}

/// One of openraft's clients: a connection of its own for appends and snapshots, the shared one for
/// the rest.
pub(crate) struct Network {
    target: u64,
    pool: Arc<Pool>,
    bulk: Arc<Link>,
}

impl Network {
    async fn small(&self, kind: Kind, payload: Bytes, option: &RPCOption) -> RpcResult<Bytes> {
        let limit = option.hard_ttl();
        self.pool.requests(self.target).request(kind, payload, limit).await.map_err(rpc_error)
    }
}

fn rpc_error(error: LinkError) -> RPCError<TypeConfig> {
    match error {
        LinkError::NotSent(error) => Unreachable::new(&error).into(),
        error => NetworkError::new(&error).into(),
    }
}

fn malformed(error: DecodeError) -> RPCError<TypeConfig> {
    NetworkError::new(&error).into()
}

impl RaftNetworkV2<TypeConfig> for Network {
    type SnapshotData = SnapshotData;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<AppendEntriesResponse<TypeConfig>> {
        let input = stream::once(std::future::ready(request));
        let mut results = self.stream_append(input, option).await?;
        match results.next().await {
            Some(result) => result.map(AppendEntriesResponse::from),
            None => Err(NetworkError::new(&LinkError::Unknown("no reply")).into()),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        _option: RPCOption,
    ) -> BoxFuture<'s, RpcResult<BoxStream<'s, RpcResult<StreamAppendResult<TypeConfig>>>>>
    where
        S: Stream<Item = AppendEntriesRequest<TypeConfig>> + OptionalSend + Unpin + 'static,
    {
        let link = self.bulk.clone();
        Box::pin(async move {
            let (sender, replies) = mpsc::channel(APPENDS_IN_FLIGHT_MAX);
            let sending = AbortOnDrop(tokio::spawn(send_appends(link, input, sender)));
            Ok(append_results(replies, sending).boxed())
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        let payload = wire::put_vote_request(&request);
        let mut reply = self.small(Kind::Vote, payload, &option).await?;
        wire::take_vote_response(&mut reply).map_err(malformed)
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<VoteResponse<TypeConfig>> {
        let payload = wire::put_vote_request(&request);
        let mut reply = self.small(Kind::PreVote, payload, &option).await?;
        wire::take_vote_response(&mut reply).map_err(malformed)
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(closed.into()),
            sent = send_snapshot(&self.bulk, vote, snapshot) => sent,
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> RpcResult<TransferLeaderResponse<TypeConfig>> {
        // A refusal is the target's to log: the sender waits for a new leader either way.
        self.small(Kind::Transfer, wire::put_transfer(&request), &option).await.map(|_| Ok(()))
    }
}

type PendingAppend = Result<oneshot::Receiver<Result<Bytes, LinkError>>, LinkError>;

/// Ends the sending half when openraft drops the receiving one.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Sends appends as they come, without waiting for replies.
async fn send_appends<S>(link: Arc<Link>, mut input: S, replies: mpsc::Sender<PendingAppend>)
where
    S: Stream<Item = AppendEntriesRequest<TypeConfig>> + Unpin,
{
    while let Some(request) = input.next().await {
        let sent = link.send(Kind::Append, wire::put_append(&request)).await;
        let failed = sent.is_err();
        if replies.send(sent).await.is_err() || failed {
            return;
        }
    }
}

/// The replies in the order of the requests, up to and including the first that is not a success.
fn append_results(
    replies: mpsc::Receiver<PendingAppend>,
    sending: AbortOnDrop,
) -> impl Stream<Item = RpcResult<StreamAppendResult<TypeConfig>>> + Send {
    stream::unfold(Some((replies, sending)), |state| async move {
        let (mut replies, sending) = state?;
        let result = append_result(replies.recv().await?).await;
        let goes_on = matches!(result, Ok(Ok(_)));
        Some((result, goes_on.then_some((replies, sending))))
    })
}

async fn append_result(pending: PendingAppend) -> RpcResult<StreamAppendResult<TypeConfig>> {
    let receiver = pending.map_err(rpc_error)?;
    let mut payload = reply(receiver, APPEND_TIMEOUT).await.map_err(rpc_error)?;
    wire::take_append_result(&mut payload).map_err(malformed)
}

/// Streams a frozen view piece by piece; a few pieces are on their way at a time.
async fn send_snapshot(
    link: &Link,
    vote: Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
    let SnapshotData::Outgoing(mut reader) = snapshot.snapshot else {
        let error = io::Error::other("this snapshot has no bytes to send");
        return Err(Unreachable::new(&error).into());
    };
    let begin = wire::put_snapshot_begin(&vote, &snapshot.meta);
    let mut pending = VecDeque::from([snapshot_piece(link, Kind::SnapshotBegin, begin).await?]);
    loop {
        let chunk = tokio::task::block_in_place(|| reader.next_chunk(SNAPSHOT_CHUNK_BYTES))
            .map_err(|error| NetworkError::new(&io::Error::other(error)))?;
        let Some(chunk) = chunk else { break };
        pending.push_back(snapshot_piece(link, Kind::SnapshotChunk, chunk).await?);
        if pending.len() >= SNAPSHOT_CHUNKS_IN_FLIGHT {
            snapshot_stored(&mut pending).await?;
        }
    }
    while !pending.is_empty() {
        snapshot_stored(&mut pending).await?;
    }
    let mut answer = link
        .request(Kind::SnapshotEnd, Bytes::new(), SNAPSHOT_INSTALL_TIMEOUT)
        .await
        .map_err(rpc_error)?;
    wire::take_snapshot_response(&mut answer).map_err(|error| malformed(error).into())
}

/// Pieces sent before the first is known to be stored.
const SNAPSHOT_CHUNKS_IN_FLIGHT: usize = 4;

type PendingPiece = oneshot::Receiver<Result<Bytes, LinkError>>;

async fn snapshot_piece(link: &Link, kind: Kind, piece: Bytes) -> RpcResult<PendingPiece> {
    link.send(kind, piece).await.map_err(rpc_error)
}

async fn snapshot_stored(pending: &mut VecDeque<PendingPiece>) -> RpcResult<()> {
    match pending.pop_front() {
        Some(piece) => reply(piece, SNAPSHOT_CHUNK_TIMEOUT).await.map(|_| ()).map_err(rpc_error),
        None => Ok(()),
    }
}
