//! The service over a real store with its history in memory; a client that speaks gRPC frames.

use std::collections::BTreeMap;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use api::etcdserverpb::watch_request::RequestUnion;
use api::etcdserverpb::{
    CompactionRequest, PutRequest, ResponseHeader, WatchCancelRequest, WatchCreateRequest,
    WatchProgressRequest, WatchRequest, WatchResponse,
};
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use prost::Message;
use store::watch::{Limits, Past};
use store::{
    Change, Command, CommandId, History, HistoryError, MemberId, Op, Options as StoreOptions,
    Record, Revision, Row, RowKind, SharedStore, Store,
};
use tokio::sync::{mpsc, watch};

use super::{Hub, Options, StorePast, WatchService, WatchSource};

/// A test that waits longer than this has failed.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Default)]
struct Rows(Mutex<BTreeMap<Revision, Row>>);

impl History for Rows {
    fn load(&self, revision: Revision) -> Result<Record, HistoryError> {
        let rows = self.0.lock();
        let row = rows.get(&revision).ok_or(HistoryError::Missing(revision))?;
        Ok(row.record.clone())
    }

    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError> {
        let range = Revision::new(from, 0)..Revision::new(to + 1, 0);
        for (revision, row) in self.0.lock().range(range) {
            if visit(*revision, row.kind, row.record.clone()).is_break() {
                break;
            }
        }
        Ok(())
    }
}

struct Member {
    past: StorePast,
    leader: watch::Sender<bool>,
}

impl WatchSource for Member {
    fn past(&self) -> &dyn Past {
        &self.past
    }

    fn header(&self) -> ResponseHeader {
        let revision = self.past.store().current_revision();
        ResponseHeader { cluster_id: 1, member_id: 2, revision, raft_term: 3 }
    }

    fn has_leader(&self) -> bool {
        *self.leader.borrow()
    }

    fn leadership_changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let mut leader = self.leader.subscribe();
        Box::pin(async move { leader.changed().await.expect("the member outlives its hub") })
    }

    fn history_failed(&self, error: &HistoryError) {
        panic!("{error}");
    }
}

/// A member without consensus: commands are applied where they are made.
struct World {
    rows: Arc<Rows>,
    member: Arc<Member>,
    hub: Arc<Hub>,
    service: WatchService,
    sequence: AtomicU64,
}

fn options() -> Options {
    Options {
        limits: Limits::default(),
        progress_interval: Duration::from_millis(100),
        election_timeout: Duration::from_millis(10),
        request_bytes_max: 1 << 20,
    }
}

impl World {
    /// Must be called on a runtime: the hub's task is started.
    fn start(options: Options) -> Self {
        let rows = Arc::new(Rows::default());
        let store = Store::new(StoreOptions::default());
        let store = Arc::new(SharedStore::new(store, rows.clone()));
        let past = StorePast::new(store, rows.clone());
        let member = Arc::new(Member { past, leader: watch::Sender::new(true) });
        let hub = Arc::new(Hub::new(options));
        tokio::spawn(hub.clone().run(member.clone()));
        let service = WatchService::new(hub.clone(), member.clone());
        Self { rows, member, hub, service, sequence: AtomicU64::new(0) }
    }

    fn apply(&self, op: Op) {
        let sequence = self.sequence.fetch_add(1, Ordering::Relaxed);
        let command = Command::new(CommandId { member: MemberId(2), sequence }, op);
        let (mut outcomes, mut changes) = (Vec::new(), Vec::new());
        let store = self.member.past.store();
        store.apply(&[command], &mut outcomes, &mut changes).unwrap();
        for outcome in outcomes {
            outcome.unwrap();
        }
        for change in &changes {
            if let Change::Row(row) = change {
                self.rows.0.lock().insert(row.revision, row.clone());
            }
        }
        self.hub.applied(&changes, store.current_revision());
    }

    fn put(&self, key: &str, value: &[u8]) {
        let (key, value) = (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value));
        self.apply(Op::Put(PutRequest { key, value, ..PutRequest::default() }));
    }

    async fn open(&self) -> Client {
        self.open_with(HeaderMap::new()).await.unwrap_or_else(|_| panic!("the stream opens"))
    }

    async fn open_with(&self, headers: HeaderMap) -> Result<Client, HeaderMap> {
        let (requests, receiver) = mpsc::unbounded_channel();
        let mut request = Request::new(Requests(receiver));
        *request.headers_mut() = headers;
        let response = self.service.call(request).await;
        assert_eq!(response.headers()["content-type"], "application/grpc");
        if response.headers().contains_key("grpc-status") {
            return Err(response.headers().clone());
        }
        Ok(Client { requests: Some(requests), body: response.into_body(), unread: Vec::new() })
    }
}

/// A request body fed through a channel; `None` in it breaks the body.
struct Requests(mpsc::UnboundedReceiver<Option<Bytes>>);

impl Body for Requests {
    type Data = Bytes;
    type Error = tonic::Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, tonic::Status>>> {
        self.0.poll_recv(cx).map(|next| match next {
            Some(Some(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(None) => Some(Err(tonic::Status::unknown("the connection broke"))),
            None => None,
        })
    }
}

struct Client {
    requests: Option<mpsc::UnboundedSender<Option<Bytes>>>,
    body: tonic::body::Body,
    unread: Vec<u8>,
}

impl Client {
    fn send(&self, request: RequestUnion) {
        let message = WatchRequest { request_union: Some(request) }.encode_to_vec();
        let mut framed = vec![0];
        framed.extend((message.len() as u32).to_be_bytes());
        framed.extend(message);
        self.requests.as_ref().unwrap().send(Some(framed.into())).unwrap();
    }

    fn create(&self, request: WatchCreateRequest) {
        self.send(RequestUnion::CreateRequest(request));
    }

    /// The next response, or the trailers.
    async fn next(&mut self) -> Result<WatchResponse, HeaderMap> {
        loop {
            if let Some(response) = self.take() {
                return Ok(response);
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await;
            let frame = frame.expect("something is sent in time").expect("trailers end a stream");
            match frame.unwrap().into_data() {
                Ok(data) => self.unread.extend_from_slice(&data),
                Err(frame) => return Err(frame.into_trailers().unwrap()),
            }
        }
    }

    fn take(&mut self) -> Option<WatchResponse> {
        let length = self.unread.get(1..5)?;
        let end = 5 + u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let response = WatchResponse::decode(self.unread.get(5..end)?).unwrap();
        self.unread.drain(..end);
        Some(response)
    }

    async fn created(&mut self) -> WatchResponse {
        let response = self.next().await.unwrap();
        assert!(response.created && !response.canceled, "{response:?}");
        response
    }

    /// Revisions of the next events, until `last` was seen.
    async fn events_until(&mut self, last: i64) -> Vec<i64> {
        let mut seen = Vec::new();
        while seen.last() != Some(&last) {
            let response = self.next().await.unwrap();
            let kvs = response.events.iter().map(|event| event.kv.as_ref().unwrap());
            seen.extend(kvs.map(|kv| kv.mod_revision));
        }
        seen
    }

    async fn trailers(&mut self) -> (String, String) {
        let trailers = loop {
            if let Err(trailers) = self.next().await {
                break trailers;
            }
        };
        status(&trailers)
    }
}

/// Code and text as a client reads them.
fn status(headers: &HeaderMap) -> (String, String) {
    let status = tonic::Status::from_header_map(headers).unwrap();
    (headers["grpc-status"].to_str().unwrap().to_owned(), status.message().to_owned())
}

fn all_keys() -> WatchCreateRequest {
    WatchCreateRequest { range_end: vec![0].into(), ..WatchCreateRequest::default() }
}

fn needs_leader() -> HeaderMap {
    HeaderMap::from_iter([(
        http::HeaderName::from_static("hasleader"),
        http::HeaderValue::from_static("true"),
    )])
}

async fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("in time: {what}"));
}

#[tokio::test]
async fn a_put_reaches_the_watcher_with_a_complete_header() {
    let world = World::start(options());
    world.put("before", b"");
    let mut client = world.open().await;
    client.create(all_keys());
    assert_eq!(client.created().await.header.unwrap().revision, 2);
    world.put("k", b"v");
    let response = client.next().await.unwrap();
    let header = ResponseHeader { cluster_id: 1, member_id: 2, revision: 3, raft_term: 3 };
    assert_eq!(response.header, Some(header));
    assert_eq!(response.events[0].kv.as_ref().unwrap().value, "v");
    assert_eq!(world.hub.counters().events(), 1);
}

#[tokio::test]
async fn a_watch_from_the_past_reads_history_and_previous_versions() {
    let world = World::start(options());
    for value in [b"1", b"2", b"3"] {
        world.put("k", value);
    }
    let mut client = world.open().await;
    client.create(WatchCreateRequest { start_revision: 3, prev_kv: true, ..all_keys() });
    client.created().await;
    let events = client.next().await.unwrap().events;
    let pairs: Vec<_> = events
        .iter()
        .map(|event| (&event.kv.as_ref().unwrap().value, &event.prev_kv.as_ref().unwrap().value))
        .collect();
    assert_eq!(pairs, [(&"2".into(), &Bytes::from("1")), (&"3".into(), &Bytes::from("2"))]);
}

#[tokio::test]
async fn a_compacted_start_is_told_the_revision_that_is_left() {
    let world = World::start(options());
    for _ in 0..3 {
        world.put("k", b"");
    }
    world.apply(Op::Compact(CompactionRequest { revision: 3, physical: false }));
    let mut client = world.open().await;
    client.create(WatchCreateRequest { start_revision: 2, ..all_keys() });
    client.created().await;
    let response = client.next().await.unwrap();
    assert!(response.canceled);
    assert_eq!((response.compact_revision, response.header.unwrap().revision), (3, 0));
}

#[tokio::test]
async fn cancel_and_bookmark_are_answered_on_the_stream() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.create(all_keys());
    client.send(RequestUnion::CancelRequest(WatchCancelRequest { watch_id: 0 }));
    client.send(RequestUnion::ProgressRequest(WatchProgressRequest {}));
    client.created().await;
    client.created().await;
    assert!(client.next().await.unwrap().canceled);
    let bookmark = client.next().await.unwrap();
    assert_eq!((bookmark.watch_id, bookmark.header.unwrap().revision), (-1, 1));
}

#[tokio::test]
async fn an_idle_watcher_is_told_the_revision_after_the_interval() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(WatchCreateRequest { progress_notify: true, key: "x".into(), ..all_keys() });
    client.created().await;
    world.put("a", b"");
    loop {
        let response = client.next().await.unwrap();
        assert!(response.events.is_empty() && response.watch_id == 0);
        if response.header.unwrap().revision == 2 {
            break;
        }
    }
}

#[tokio::test]
async fn watchers_live_on_after_the_last_request_and_end_with_the_body() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.created().await;
    client.requests = None;
    world.put("k", b"");
    assert_eq!(client.events_until(2).await, [2]);
    drop(client);
    let counters = world.hub.counters();
    assert_eq!((counters.watchers(), counters.streams()), (0, 0));
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_etcds_words() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.created().await;
    client.requests.as_ref().unwrap().send(None).unwrap();
    let expected = ("1".to_owned(), "etcdserver: watch canceled".to_owned());
    assert_eq!(client.trailers().await, expected);
}

#[tokio::test]
async fn streams_that_need_a_leader_end_without_one_and_others_go_on() {
    let world = World::start(options());
    let mut other = world.open().await;
    other.create(all_keys());
    other.created().await;
    let mut client = world.open_with(needs_leader()).await.unwrap_or_else(|_| panic!("opens"));
    client.create(all_keys());
    client.created().await;
    world.member.leader.send_replace(false);
    let expected = ("14".to_owned(), "etcdserver: no leader".to_owned());
    assert_eq!(client.trailers().await, expected);
    let Err(refused) = world.open_with(needs_leader()).await else { panic!("no leader") };
    assert_eq!(status(&refused), expected);
    world.put("k", b"");
    assert_eq!(other.events_until(2).await, [2]);
}

#[tokio::test]
async fn a_stopping_member_ends_all_streams() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.created().await;
    world.hub.stop();
    let expected = ("14".to_owned(), "etcdserver: server stopped".to_owned());
    assert_eq!(client.trailers().await, expected);
}

/// The runtime has one thread, so the hub's task does not run between the puts.
#[tokio::test]
async fn rows_that_overflow_the_inbox_are_read_from_history() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.created().await;
    for _ in 0..40 {
        world.put("k", &[0; 1 << 20]);
    }
    assert_eq!(client.events_until(41).await, Vec::from_iter(2..=41));
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_its_bound_and_misses_nothing() {
    let limits = Limits { stream_bytes_max: 10_000, recent_bytes_max: 10_000, ..Limits::default() };
    let world = World::start(Options { limits, ..options() });
    let mut slow = world.open().await;
    slow.create(all_keys());
    slow.created().await;
    let mut quick = world.open().await;
    quick.create(all_keys());
    quick.created().await;
    for revision in 2..=2001 {
        world.put("k", &[0; 100]);
        if revision % 10 == 0 {
            quick.events_until(revision).await;
        }
    }
    quick.events_until(2001).await;
    let counters = world.hub.counters().clone();
    wait_until("the slow one is parked", || counters.slow_watchers() == 1).await;
    assert!(counters.pending_bytes() < 11_000, "{}", counters.pending_bytes());
    assert_eq!(slow.events_until(2001).await, Vec::from_iter(2..=2001));
    wait_until("it is synced", || counters.slow_watchers() == 0).await;
}

#[tokio::test]
async fn a_replaced_store_is_read_from_where_the_watcher_was() {
    let world = World::start(options());
    let mut client = world.open().await;
    client.create(all_keys());
    client.created().await;
    // Rows that came with a snapshot: in history, but never handed to the hub.
    let hidden = World { hub: Arc::new(Hub::new(options())), ..world };
    hidden.put("a", b"");
    hidden.put("b", b"");
    let world = World { hub: hidden.service.hub().clone(), ..hidden };
    world.hub.replaced(world.member.header().revision);
    world.put("c", b"");
    assert_eq!(client.events_until(4).await, [2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_watchers_on_many_streams_see_every_revision_in_order_under_load() {
    const REVISIONS: i64 = 3000;
    let limits = Limits { stream_bytes_max: 4_000, recent_bytes_max: 50_000, ..Limits::default() };
    let world = Arc::new(World::start(Options { limits, ..options() }));
    let mut readers = tokio::task::JoinSet::new();
    for start_revision in 0..8 {
        let mut client = world.open().await;
        client.create(WatchCreateRequest { start_revision, ..all_keys() });
        client.created().await;
        readers.spawn(async move { (start_revision, client.events_until(REVISIONS).await) });
    }
    let writer = world.clone();
    let writing = tokio::task::spawn_blocking(move || {
        for _ in 2..=REVISIONS {
            writer.put("k", &[0; 50]);
        }
    });
    while let Some(done) = readers.join_next().await {
        let (start, seen) = done.unwrap();
        assert_eq!(seen, Vec::from_iter(start.max(2)..=REVISIONS));
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn ten_thousand_watchers_share_a_stream() {
    let world = World::start(options());
    let mut client = world.open().await;
    for _ in 0..10_000 {
        client.create(all_keys());
    }
    for watch_id in 0..10_000 {
        assert_eq!(client.created().await.watch_id, watch_id);
    }
}
