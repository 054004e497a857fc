//! gRPC's health checking protocol.

use api::health::health_check_response::ServingStatus;
use api::health::{HealthCheckRequest, HealthCheckResponse};
use bytes::{Buf, Bytes};
use http::Method;
use prost::Message;

use super::client::{TestMember, call_at, eventually, refusal};
use crate::server::frame::Frame;

const CHECK: &str = "grpc.health.v1.Health/Check";
const WATCH: &str = "grpc.health.v1.Health/Watch";

fn asking_for(service: &str) -> Bytes {
    let mut frame = Frame::encode(&HealthCheckRequest { service: service.to_owned() });
    frame.copy_to_bytes(frame.remaining())
}

fn statuses(mut body: Bytes) -> Vec<ServingStatus> {
    let mut statuses = Vec::new();
    while !body.is_empty() {
        body.advance(1);
        let length = body.get_u32() as usize;
        let answer = HealthCheckResponse::decode(body.split_to(length)).expect("an answer");
        statuses.push(answer.status());
    }
    statuses
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_empty_name_serves_and_no_other_is_known() {
    let member = TestMember::start(&[]).await;
    let (head, body, trailers) = member.call(CHECK, asking_for("")).await;
    assert_eq!(refusal(&head, &trailers), Ok(()));
    assert_eq!(statuses(body), [ServingStatus::Serving]);
    for unknown in ["etcdserverpb.KV", "nothing"] {
        let (head, _, trailers) = member.call(CHECK, asking_for(unknown)).await;
        assert_eq!(refusal(&head, &trailers), Err((5, "unknown service".to_owned())));
    }
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn watchers_are_told_that_the_member_stops() {
    let member = TestMember::start(&[]).await;
    let known = tokio::spawn(call_at(member.address, WATCH, asking_for("")));
    let unknown = tokio::spawn(call_at(member.address, WATCH, asking_for("nothing")));
    let both_told = "grpc_server_msg_sent_total{grpc_method=\"Watch\",\
                     grpc_service=\"grpc.health.v1.Health\",grpc_type=\"server_stream\"} 2";
    eventually("the first statuses", async || {
        let (_, _, page) = member.http(Method::GET, "/metrics").await;
        page.lines().any(|line| line == both_told).then_some(())
    })
    .await;
    member.running.stop().await;
    let stopped = Err((14, "etcdserver: server stopped".to_owned()));
    let (head, body, trailers) = known.await.expect("an end");
    assert_eq!(refusal(&head, &trailers), stopped);
    assert_eq!(statuses(body), [ServingStatus::Serving, ServingStatus::NotServing]);
    let (head, body, trailers) = unknown.await.expect("an end");
    assert_eq!(refusal(&head, &trailers), stopped);
    assert_eq!(statuses(body), [ServingStatus::ServiceUnknown]);
}
