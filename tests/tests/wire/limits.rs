//! Sizes: etcd-surface 1.7.

use bytes::Bytes;
use quorate_tests::{Server, pb};
use tonic::Code;

use crate::ask::{always, everything, get, one, op, put, refused};

fn sized(key: &str, bytes: usize) -> pb::PutRequest {
    pb::PutRequest { value: Bytes::from(vec![b'v'; bytes]), ..put(key, "") }
}

pub async fn requests_over_the_limit_are_refused(server: Server) {
    let (_cluster, client) = one(&server).await;
    let text = "etcdserver: request is too large";
    refused(client.put(sized("a", 1_572_864)).await, Code::InvalidArgument, text);
    let halves = always(vec![op(sized("a", 800_000)), op(sized("b", 800_000))]);
    refused(client.txn(halves).await, Code::InvalidArgument, text);
    assert_eq!(client.range(everything()).await.unwrap().count, 0);
}

pub async fn requests_over_the_transport_limit_never_arrive(server: Server) {
    let (_cluster, client) = one(&server).await;
    let status = client.put(sized("a", 2_200_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("larger than max"), "{status:?}");
    // The connection is still good.
    assert_eq!(client.range(everything()).await.unwrap().count, 0);
}

pub async fn a_value_just_below_the_limit_fits(server: Server) {
    let (_cluster, client) = one(&server).await;
    client.put(sized("a", 1_572_000)).await.unwrap();
    assert_eq!(client.range(get("a")).await.unwrap().kvs[0].value.len(), 1_572_000);
    for key in ["b", "c", "d"] {
        client.put(sized(key, 1_500_000)).await.unwrap();
    }
    // Replies are not bound by the request limit.
    let all = client.range(everything()).await.unwrap();
    assert_eq!(all.kvs.iter().map(|kv| kv.value.len()).sum::<usize>(), 6_072_000);
}
