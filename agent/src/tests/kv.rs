//! Keys, over the wire.

use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    RangeRequest, RangeResponse, RangeStreamResponse, RequestOp, TxnRequest, TxnResponse,
};
use bytes::{Buf, Bytes};
use prost::Message;

use super::client::{TestMember, refusal};
use crate::server::frame::Frame;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_put_is_read_back_under_a_complete_header() {
    let member = TestMember::start(&[]).await;
    let put = member.put("k", b"v").await.expect("accepted").header.expect("a header");
    assert_eq!(put.revision, 2);
    assert!(put.cluster_id != 0 && put.member_id != 0 && put.raft_term != 0);
    let read = member.get("k").await;
    assert_eq!(read.header, Some(put));
    assert_eq!((&read.kvs[0].value[..], read.count), (&b"v"[..], 1));
    let delete = DeleteRangeRequest { key: "k".into(), prev_kv: true, ..Default::default() };
    let deleted: DeleteRangeResponse =
        member.unary("KV/DeleteRange", &delete).await.expect("accepted");
    assert_eq!((deleted.deleted, deleted.prev_kvs), (1, read.kvs));
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_have_etcds_codes_and_texts() {
    let member = TestMember::start(&["--max-request-bytes=1000"]).await;
    let empty = (3, "etcdserver: key is not provided".to_owned());
    assert_eq!(member.put("", b"v").await.unwrap_err(), empty);
    let large = (3, "etcdserver: request is too large".to_owned());
    assert_eq!(member.put("k", &[0; 1001]).await.unwrap_err(), large);
    let text = format!("grpc: received message larger than max ({} vs. {})", 600_009, 525_288);
    assert_eq!(member.put("k", &[0; 600_002]).await.unwrap_err(), (8, text));
    let future = RangeRequest { key: "k".into(), revision: 99, ..Default::default() };
    let refused = member.unary::<_, RangeResponse>("KV/Range", &future).await.unwrap_err();
    let text = "etcdserver: mvcc: required revision is a future revision".to_owned();
    assert_eq!(refused, (11, text));
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_only_reads_does_not_enter_the_log() {
    let member = TestMember::start(&[]).await;
    member.put("k", b"v").await.expect("accepted");
    let range = RangeRequest { key: "k".into(), ..Default::default() };
    let range = RequestOp { request: Some(Request::RequestRange(range)) };
    let reading = TxnRequest { success: vec![range.clone()], ..Default::default() };
    let (_, _, before) = member.http(http::Method::GET, "/metrics").await;
    let read: TxnResponse = member.unary("KV/Txn", &reading).await.expect("accepted");
    assert_eq!((read.succeeded, read.responses.len()), (true, 1));
    let (_, _, after) = member.http(http::Method::GET, "/metrics").await;
    let applied = |page: &str| {
        let name = "etcd_server_proposals_applied_total ";
        page.lines().find(|line| line.starts_with(name)).map(str::to_owned).expect("the gauge")
    };
    assert_eq!(applied(&before), applied(&after));
    let put = PutRequest { key: "k".into(), value: "w".into(), ..Default::default() };
    let put = RequestOp { request: Some(Request::RequestPut(put)) };
    let writing = TxnRequest { success: vec![put, range], ..Default::default() };
    let wrote: TxnResponse = member.unary("KV/Txn", &writing).await.expect("accepted");
    assert_eq!(wrote.header.expect("a header").revision, 3);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_a_range_adds_up_to_the_range() {
    let member = TestMember::start(&[]).await;
    for number in 0..60 {
        member.put(&format!("k{number:02}"), &[b'v'; 100]).await.expect("accepted");
    }
    let all = RangeRequest { key: "k".into(), range_end: "l".into(), ..Default::default() };
    let whole: RangeResponse = member.unary("KV/Range", &all).await.expect("readable");
    let mut frame = Frame::encode(&all);
    let request = frame.copy_to_bytes(frame.remaining());
    let (head, mut body, trailers) = member.call("etcdserverpb.KV/RangeStream", request).await;
    assert_eq!(refusal(&head, &trailers), Ok(()));
    let mut chunks = Vec::new();
    while !body.is_empty() {
        chunks.push(take_chunk(&mut body));
    }
    assert!(chunks.len() > 1);
    let last = chunks.last().expect("a chunk");
    assert_eq!((last.count, last.more, last.header), (60, false, whole.header));
    let kvs: Vec<_> = chunks.into_iter().flat_map(|chunk| chunk.kvs).collect();
    assert_eq!(kvs, whole.kvs);
    member.running.stop().await;
}

fn take_chunk(body: &mut Bytes) -> RangeResponse {
    body.advance(1);
    let length = body.get_u32() as usize;
    let message = RangeStreamResponse::decode(body.split_to(length)).expect("a chunk");
    message.range_response.expect("a range")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_physical_compaction_waits_until_the_rows_are_gone() {
    let member = TestMember::start(&["--compaction-batch-limit=2"]).await;
    for _ in 0..10 {
        member.put("k", b"v").await.expect("accepted");
    }
    let compact = CompactionRequest { revision: 8, physical: true };
    let _: CompactionResponse = member.unary("KV/Compact", &compact).await.expect("accepted");
    let again = member.unary::<_, CompactionResponse>("KV/Compact", &compact).await.unwrap_err();
    let text = "etcdserver: mvcc: required revision has been compacted".to_owned();
    assert_eq!(again, (11, text));
    let old = RangeRequest { key: "k".into(), revision: 8, ..Default::default() };
    let read: RangeResponse = member.unary("KV/Range", &old).await.expect("still readable");
    assert_eq!(read.kvs[0].mod_revision, 8);
    member.running.stop().await;
}
