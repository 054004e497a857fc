//! Leases, over the wire.

use api::etcdserverpb::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
    PutRequest, PutResponse,
};
use bytes::{Buf, BytesMut};
use prost::Message;

use super::client::{TestMember, eventually, refusal};
use crate::server::frame::encode_into;

async fn grant(member: &TestMember, ttl: i64, id: i64) -> LeaseGrantResponse {
    let request = LeaseGrantRequest { ttl, id };
    member.unary("Lease/LeaseGrant", &request).await.expect("granted")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_lease_takes_its_keys_with_it() {
    let member = TestMember::start(&[]).await;
    let lease = grant(&member, 0, 0).await;
    assert_eq!(lease.ttl, 1, "the shortest life with this election timeout");
    let put = PutRequest { key: "k".into(), lease: lease.id, ..Default::default() };
    let _: PutResponse = member.unary("KV/Put", &put).await.expect("accepted");
    let ask = LeaseTimeToLiveRequest { id: lease.id, keys: true };
    let left: LeaseTimeToLiveResponse =
        member.unary("Lease/LeaseTimeToLive", &ask).await.expect("answered");
    assert_eq!((left.granted_ttl, &left.keys[..]), (1, &[bytes::Bytes::from("k")][..]));
    eventually("the key to go", async || (member.get("k").await.count == 0).then_some(())).await;
    let left: LeaseTimeToLiveResponse =
        member.unary("Lease/LeaseTimeToLive", &ask).await.expect("answered");
    assert_eq!((left.ttl, left.granted_ttl), (-1, 0));
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leases_are_listed_by_expiry() {
    let member = TestMember::start(&[]).await;
    for (ttl, id) in [(500, 1), (100, 2), (300, 3)] {
        grant(&member, ttl, id).await;
    }
    let listed: LeaseLeasesResponse =
        member.unary("Lease/LeaseLeases", &LeaseLeasesRequest {}).await.expect("answered");
    assert_eq!(listed.leases.iter().map(|lease| lease.id).collect::<Vec<_>>(), [2, 3, 1]);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keep_alives_are_answered_in_order_and_unknown_leases_have_nothing_left() {
    let member = TestMember::start(&[]).await;
    grant(&member, 60, 7).await;
    let mut requests = BytesMut::new();
    for id in [7, 8, 7] {
        encode_into(&LeaseKeepAliveRequest { id }, &mut requests);
    }
    let path = "etcdserverpb.Lease/LeaseKeepAlive";
    let (head, mut body, trailers) = member.call(path, requests.freeze()).await;
    assert_eq!(refusal(&head, &trailers), Ok(()));
    let mut answers = Vec::new();
    while !body.is_empty() {
        body.advance(1);
        let length = body.get_u32() as usize;
        let answer = LeaseKeepAliveResponse::decode(body.split_to(length)).expect("an answer");
        answers.push((answer.id, answer.ttl));
    }
    assert_eq!(answers, [(7, 60), (8, 0), (7, 60)]);
    member.running.stop().await;
}
