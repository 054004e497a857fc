//! Short ways to say what the cases send and expect.

use bytes::Bytes;
use quorate_tests::{Answer, Client, Cluster, Duplex, Server, Shape, pb};
use tonic::Code;

/// A single member with default flags, and a connection to it.
pub async fn one(server: &Server) -> (Cluster, Client) {
    one_with(server, &[]).await
}

/// A single member with extra flags.
pub async fn one_with(server: &Server, flags: &[&str]) -> (Cluster, Client) {
    let shape = flags.iter().fold(Shape::of(1), |shape, flag| shape.flag(*flag));
    let cluster = Cluster::start(server, shape).await;
    let client = cluster.client();
    (cluster, client)
}

pub fn put(key: &str, value: &str) -> pb::PutRequest {
    pb::PutRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: Bytes::copy_from_slice(value.as_bytes()),
        ..Default::default()
    }
}

pub fn get(key: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() }
}

pub fn between(key: &str, range_end: &str) -> pb::RangeRequest {
    pb::RangeRequest { range_end: Bytes::copy_from_slice(range_end.as_bytes()), ..get(key) }
}

/// All keys.
pub fn everything() -> pb::RangeRequest {
    between("\0", "\0")
}

pub fn delete(key: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: Bytes::copy_from_slice(key.as_bytes()), ..Default::default() }
}

pub fn delete_between(key: &str, range_end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest {
        range_end: Bytes::copy_from_slice(range_end.as_bytes()),
        ..delete(key)
    }
}

pub fn op(request: impl Into<pb::Request>) -> pb::RequestOp {
    pb::RequestOp { request: Some(request.into()) }
}

/// A transaction that always takes its success branch.
pub fn always(success: Vec<pb::RequestOp>) -> pb::TxnRequest {
    pb::TxnRequest { success, ..Default::default() }
}

pub fn compare(key: &str, result: pb::CompareResult, with: pb::CompareWith) -> pb::Compare {
    use pb::{CompareTarget, CompareWith};
    let target = match with {
        CompareWith::Version(_) => CompareTarget::Version,
        CompareWith::CreateRevision(_) => CompareTarget::Create,
        CompareWith::ModRevision(_) => CompareTarget::Mod,
        CompareWith::Value(_) => CompareTarget::Value,
        CompareWith::Lease(_) => CompareTarget::Lease,
    };
    pb::Compare {
        result: result.into(),
        target: target.into(),
        key: Bytes::copy_from_slice(key.as_bytes()),
        with: Some(with),
        range_end: Bytes::new(),
    }
}

pub fn compact(revision: i64) -> pb::CompactionRequest {
    pb::CompactionRequest { revision, physical: false }
}

/// Puts and gives the new revision.
pub async fn put_at(client: &Client, key: &str, value: &str) -> i64 {
    let answer = client.put(put(key, value)).await.expect("a put");
    answer.header.expect("a header").revision
}

/// The keys of an answer.
pub fn keys(answer: &pb::RangeResponse) -> Vec<String> {
    answer.kvs.iter().map(|kv| String::from_utf8_lossy(&kv.key).into_owned()).collect()
}

/// The answer is this error, code and text.
#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Answer<T>, code: Code, text: &str) {
    let status = answer.expect_err(text);
    assert_eq!((status.code(), status.message()), (code, text));
}

pub type WatchStream = Duplex<pb::WatchRequest, pb::WatchResponse>;

pub fn watch_create(request: pb::WatchCreateRequest) -> pb::WatchRequest {
    pb::WatchRequest { ask: Some(pb::WatchAsk::Create(request)) }
}

pub fn watch_cancel(watch_id: i64) -> pb::WatchRequest {
    pb::WatchRequest { ask: Some(pb::WatchAsk::Cancel(pb::WatchCancelRequest { watch_id })) }
}

pub fn watch_progress() -> pb::WatchRequest {
    pb::WatchRequest { ask: Some(pb::WatchAsk::Progress(pb::Empty {})) }
}

/// Watches `[key, range_end)` from `start_revision`.
pub fn watching(key: &str, range_end: &str, start_revision: i64) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        range_end: Bytes::copy_from_slice(range_end.as_bytes()),
        start_revision,
        ..Default::default()
    }
}

/// Creates a watcher and gives its `created` response.
pub async fn create(
    stream: &mut WatchStream,
    request: pb::WatchCreateRequest,
) -> pb::WatchResponse {
    stream.send(watch_create(request)).await;
    let created = stream.expect().await;
    assert!(created.created && created.events.is_empty(), "{created:?}");
    created
}

/// Collects events of one watcher until there are `count` of them.
pub async fn events(stream: &mut WatchStream, watch_id: i64, count: usize) -> Vec<pb::Event> {
    let mut seen = Vec::new();
    while seen.len() < count {
        let response = stream.expect().await;
        assert!(!response.canceled, "{response:?}");
        if response.watch_id == watch_id {
            seen.extend(response.events);
        }
    }
    assert_eq!(seen.len(), count, "{seen:?}");
    seen
}

/// `put a@5` or `delete a@6`: an event in a form worth comparing.
pub fn short(event: &pb::Event) -> String {
    let kv = event.kv.as_ref().expect("an event has a kv");
    let verb = if event.r#type == 0 { "put" } else { "delete" };
    format!("{verb} {}@{}", String::from_utf8_lossy(&kv.key), kv.mod_revision)
}

pub fn shorts(events: &[pb::Event]) -> Vec<String> {
    events.iter().map(short).collect()
}
