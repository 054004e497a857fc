//! A thin gRPC client: one method per RPC, requests as the bare messages of [`crate::pb`].
//!
//! It adds nothing of its own (no retries, no defaults), so what a test sends is what the server
//! gets, and a `Status` is what the server answered. Only a deadline is added to every unary call.

use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::pb;

/// How long a unary call may take before the client gives up with `DeadlineExceeded`.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a test waits for one message of a stream.
pub const MESSAGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Requests a stream's sender may have waiting.
const STREAM_REQUESTS_MAX: usize = 256;
/// Largest reply accepted; etcd's own clients set no bound worth the name.
const REPLY_BYTES_MAX: usize = 512 << 20;

/// What an RPC gives: the reply or the status the server sent.
pub type Answer<T> = Result<T, Status>;

/// One connection to one member.
#[derive(Clone, Debug)]
pub struct Client {
    channel: Channel,
    call_timeout: Duration,
}

macro_rules! unary {
    ($($name:ident($request:ty) -> $response:ty, $path:literal;)*) => {
        $(
            #[doc = concat!("`", $path, "`")]
            pub async fn $name(&self, request: $request) -> Answer<$response> {
                self.unary($path, request).await
            }
        )*
    };
}

impl Client {
    /// A client of the member at `url` (`http://host:port`); connects on first use.
    pub fn new(url: &str) -> Self {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .expect("the harness makes valid URLs")
            .connect_timeout(Duration::from_secs(2));
        Self { channel: endpoint.connect_lazy(), call_timeout: CALL_TIMEOUT }
    }

    /// The same connection with another deadline for unary calls.
    pub fn with_timeout(&self, call_timeout: Duration) -> Self {
        Self { channel: self.channel.clone(), call_timeout }
    }

    unary! {
        range(pb::RangeRequest) -> pb::RangeResponse, "/etcdserverpb.KV/Range";
        put(pb::PutRequest) -> pb::PutResponse, "/etcdserverpb.KV/Put";
        delete_range(pb::DeleteRangeRequest) -> pb::DeleteRangeResponse, "/etcdserverpb.KV/DeleteRange";
        txn(pb::TxnRequest) -> pb::TxnResponse, "/etcdserverpb.KV/Txn";
        compact(pb::CompactionRequest) -> pb::HeaderOnly, "/etcdserverpb.KV/Compact";
        lease_grant(pb::LeaseGrantRequest) -> pb::LeaseGrantResponse, "/etcdserverpb.Lease/LeaseGrant";
        lease_revoke(pb::LeaseIdRequest) -> pb::HeaderOnly, "/etcdserverpb.Lease/LeaseRevoke";
        lease_time_to_live(pb::LeaseTimeToLiveRequest) -> pb::LeaseTimeToLiveResponse, "/etcdserverpb.Lease/LeaseTimeToLive";
        lease_leases(pb::Empty) -> pb::LeaseLeasesResponse, "/etcdserverpb.Lease/LeaseLeases";
        member_add(pb::MemberAddRequest) -> pb::MemberAddResponse, "/etcdserverpb.Cluster/MemberAdd";
        member_remove(pb::MemberIdRequest) -> pb::MembersResponse, "/etcdserverpb.Cluster/MemberRemove";
        member_update(pb::MemberUpdateRequest) -> pb::MembersResponse, "/etcdserverpb.Cluster/MemberUpdate";
        member_promote(pb::MemberIdRequest) -> pb::MembersResponse, "/etcdserverpb.Cluster/MemberPromote";
        member_list(pb::MemberListRequest) -> pb::MembersResponse, "/etcdserverpb.Cluster/MemberList";
        status(pb::Empty) -> pb::StatusResponse, "/etcdserverpb.Maintenance/Status";
        alarm(pb::AlarmRequest) -> pb::AlarmResponse, "/etcdserverpb.Maintenance/Alarm";
        defragment(pb::Empty) -> pb::HeaderOnly, "/etcdserverpb.Maintenance/Defragment";
        hash_kv(pb::HashKvRequest) -> pb::HashKvResponse, "/etcdserverpb.Maintenance/HashKV";
        move_leader(pb::MoveLeaderRequest) -> pb::HeaderOnly, "/etcdserverpb.Maintenance/MoveLeader";
        health(pb::HealthCheckRequest) -> pb::HealthCheckResponse, "/grpc.health.v1.Health/Check";
    }

    /// Any unary RPC by path; for methods a server must not know.
    pub async fn unary<Q, P>(&self, path: &'static str, request: Q) -> Answer<P>
    where
        Q: Message + 'static,
        P: Message + Default + 'static,
    {
        let call = async {
            let mut grpc = self.grpc();
            grpc.ready().await.map_err(unreachable_status)?;
            grpc.unary(Request::new(request), PathAndQuery::from_static(path), codec::<Q, P>())
                .await
        };
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded(format!("{path}: no answer in time"))),
        }
    }

    /// `KV/RangeStream` (3.7).
    pub async fn range_stream(
        &self,
        request: pb::RangeRequest,
    ) -> Answer<Streaming<pb::RangeStreamResponse>> {
        self.server_stream("/etcdserverpb.KV/RangeStream", request).await
    }

    /// `Maintenance/Snapshot`.
    pub async fn snapshot(&self) -> Answer<Streaming<pb::SnapshotResponse>> {
        self.server_stream("/etcdserverpb.Maintenance/Snapshot", pb::Empty {}).await
    }

    /// Opens a `Watch` stream with no watcher on it yet.
    pub async fn watch(&self) -> Answer<Duplex<pb::WatchRequest, pb::WatchResponse>> {
        self.duplex("/etcdserverpb.Watch/Watch").await
    }

    /// Opens a `LeaseKeepAlive` stream.
    pub async fn keep_alive(
        &self,
    ) -> Answer<Duplex<pb::LeaseIdRequest, pb::LeaseKeepAliveResponse>> {
        self.duplex("/etcdserverpb.Lease/LeaseKeepAlive").await
    }

    async fn server_stream<Q, P>(&self, path: &'static str, request: Q) -> Answer<Streaming<P>>
    where
        Q: Message + 'static,
        P: Message + Default + 'static,
    {
        let call = async {
            let mut grpc = self.grpc();
            grpc.ready().await.map_err(unreachable_status)?;
            let path = PathAndQuery::from_static(path);
            grpc.server_streaming(Request::new(request), path, codec::<Q, P>()).await
        };
        match tokio::time::timeout(self.call_timeout, call).await {
            Ok(answer) => answer.map(tonic::Response::into_inner),
            Err(_) => Err(Status::deadline_exceeded("the stream did not open in time")),
        }
    }

    async fn duplex<Q, P>(&self, path: &'static str) -> Answer<Duplex<Q, P>>
    where
        Q: Message + 'static,
        P: Message + Default + 'static,
    {
        let (sender, receiver) = mpsc::channel(STREAM_REQUESTS_MAX);
        let mut grpc = self.grpc();
        grpc.ready().await.map_err(unreachable_status)?;
        // The server may hold its response headers back until the first message, so the call is
        // driven by a task and awaited only when the first reply is.
        let opening = tokio::spawn(async move {
            let requests = Request::new(ReceiverStream::new(receiver));
            let path = PathAndQuery::from_static(path);
            grpc.streaming(requests, path, codec::<Q, P>()).await.map(tonic::Response::into_inner)
        });
        Ok(Duplex { sender, replies: Replies::Opening(opening) })
    }

    fn grpc(&self) -> tonic::client::Grpc<Channel> {
        tonic::client::Grpc::new(self.channel.clone())
            .max_decoding_message_size(REPLY_BYTES_MAX)
            .max_encoding_message_size(REPLY_BYTES_MAX)
    }
}

/// Both directions of a bidirectional stream.
#[derive(Debug)]
pub struct Duplex<Q, P> {
    sender: mpsc::Sender<Q>,
    replies: Replies<P>,
}

#[derive(Debug)]
enum Replies<P> {
    Opening(tokio::task::JoinHandle<Answer<Streaming<P>>>),
    Open(Box<Streaming<P>>),
}

impl<Q, P> Duplex<Q, P> {
    /// Sends one request. Panics when the server has ended the stream.
    pub async fn send(&self, request: Q) {
        self.sender.send(request).await.map_err(|_| "closed").expect("the stream is open");
    }

    /// The next message; `None` at the end of the stream. Panics after [`MESSAGE_TIMEOUT`].
    pub async fn next(&mut self) -> Answer<Option<P>> {
        match self.next_within(MESSAGE_TIMEOUT).await {
            Some(answer) => answer,
            None => panic!("no message on the stream within {MESSAGE_TIMEOUT:?}"),
        }
    }

    /// The next message if one comes `within` the time; `None` when it stays silent.
    pub async fn next_within(&mut self, within: Duration) -> Option<Answer<Option<P>>> {
        tokio::time::timeout(within, self.advance()).await.ok()
    }

    /// The next message, which must be there. Panics at the end, on an error, or when it is late.
    pub async fn expect(&mut self) -> P {
        self.next().await.expect("the stream is healthy").expect("the stream goes on")
    }

    async fn advance(&mut self) -> Answer<Option<P>> {
        if let Replies::Opening(opening) = &mut self.replies {
            let stream = opening.await.expect("the opening task does not panic")?;
            self.replies = Replies::Open(Box::new(stream));
        }
        match &mut self.replies {
            Replies::Open(stream) => stream.message().await,
            Replies::Opening(_) => Err(Status::internal("the stream did not open")),
        }
    }
}

fn codec<Q, P>() -> ProstCodec<Q, P>
where
    Q: Message + 'static,
    P: Message + Default + 'static,
{
    ProstCodec::default()
}

fn unreachable_status(error: tonic::transport::Error) -> Status {
    Status::unavailable(format!("cannot connect: {error}"))
}
