//! What clients may do to a connection.

use std::time::Instant;

use api::etcdserverpb::{MemberListRequest, MemberListResponse, StatusRequest, StatusResponse};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::client::{DEADLINE, TestMember, config, refusal};
use crate::life::Life;
use crate::process::start;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_calls_are_unimplemented_by_name() {
    let member = TestMember::start(&[]).await;
    for (path, text) in [
        ("a.B/C", "unknown service a.B"),
        ("etcdserverpb.KV/Nope", "unknown method Nope for service etcdserverpb.KV"),
    ] {
        let (head, _, trailers) = member.call(path, Bytes::new()).await;
        assert_eq!(refusal(&head, &trailers), Err((12, text.to_owned())));
    }
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_answered_and_the_connection_closed() {
    let member = TestMember::start(&[]).await;
    for garbage in [&b"\x16\x03\x01\x02\x00\x01\x00"[..], b"garbage\r\n\r\n", b"PRI garbage"] {
        let mut stream = TcpStream::connect(member.address).await.expect("connected");
        stream.write_all(garbage).await.expect("sent");
        stream.shutdown().await.expect("sent");
        let mut answer = Vec::new();
        let end = tokio::time::timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
        // A reset is an end too.
        let _ = end.expect("the member lets go");
    }
    assert!(member.put("k", b"v").await.is_ok());
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_message_is_refused() {
    let member = TestMember::start(&[]).await;
    let half = Bytes::from_static(&[0, 0, 0, 0, 9, 1]);
    let (head, _, trailers) = member.call("etcdserverpb.KV/Put", half).await;
    assert_eq!(refusal(&head, &trailers).unwrap_err().0, 13);
    let not_a_put = Bytes::from_static(&[0, 0, 0, 0, 2, 0xff, 0xff]);
    let (head, _, trailers) = member.call("etcdserverpb.KV/Put", not_a_put).await;
    assert_eq!(refusal(&head, &trailers).unwrap_err().0, 13);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named() {
    let member = TestMember::start(&[]).await;
    let directory = tempfile::TempDir::new().expect("a directory for the test");
    let url = format!("--listen-client-urls=http://{}", member.address);
    let taken = config(&directory.path().join("data"), &[&url]);
    let (life, _orders) = Life::new(&taken.name);
    let Err(error) = start(taken, super::client::threads(), life).await else {
        panic!("two members on one port")
    };
    let error = error.to_string();
    assert!(error.starts_with(&format!("cannot listen on {}", member.address)), "{error}");
    assert!(!directory.path().join("data").exists(), "nothing was touched");
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_members_tell_who_is_there() {
    let member = TestMember::start(&["--name=one"]).await;
    let status: StatusResponse =
        member.unary("Maintenance/Status", &StatusRequest {}).await.expect("answered");
    assert_eq!(status.version, api::ETCD_VERSION);
    assert!(status.leader != 0 && status.errors.is_empty());
    let list = MemberListRequest { linearizable: true };
    let members: MemberListResponse =
        member.unary("Cluster/MemberList", &list).await.expect("answered");
    assert_eq!(members.header.expect("a header").revision, 0);
    assert_eq!(members.members[0].id, status.leader);
    member.running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_keep_alive_stream_does_not_hold_the_member_up() {
    let member = TestMember::start(&[]).await;
    let stream = TcpStream::connect(member.address).await.expect("connected");
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .expect("HTTP/2");
    tokio::spawn(connection);
    let open = http_body_util::StreamBody::new(futures::stream::pending::<
        Result<http_body::Frame<Bytes>, std::convert::Infallible>,
    >());
    let request = http::Request::post("http://member/etcdserverpb.Lease/LeaseKeepAlive")
        .header("content-type", "application/grpc")
        .body(open)
        .expect("a request");
    let response = sender.send_request(request).await.expect("headers come at once");
    let started = Instant::now();
    member.running.stop().await;
    assert!(started.elapsed().as_secs() < 2, "stopped after {:?}", started.elapsed());
    let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("ended");
    let trailers = body.trailers().cloned().unwrap_or_default();
    assert_eq!(trailers["grpc-status"], "14");
}
