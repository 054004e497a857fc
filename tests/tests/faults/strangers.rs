//! Whoever talks to the ports without being a client or a peer.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use quorate_tests::{Cluster, Server, Shape, eventually, pb};
use rand::RngCore;

/// How many connections are left open at once.
const CONNECTIONS: usize = 40;

/// What an HTTP/2 client says first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn still_serves(cluster: &Cluster) {
    let client = cluster.client().with_timeout(Duration::from_secs(5));
    let request = pb::PutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
    client.put(request).await.unwrap();
    let read = pb::RangeRequest { key: "a".into(), ..Default::default() };
    assert_eq!(client.range(read).await.unwrap().count, 1);
}

fn addresses(cluster: &Cluster) -> [String; 2] {
    [cluster.members[0].client_address(), cluster.members[0].peer_address()]
}

pub async fn garbage(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(1)).await;
    for address in addresses(&cluster) {
        for round in 0..CONNECTIONS {
            let mut bytes = vec![0; 1 + round * 97];
            rand::rng().fill_bytes(&mut bytes);
            let mut stream = TcpStream::connect(&address).unwrap();
            // The member may hang up in the middle of it.
            let _ = stream.write_all(&bytes);
            let mut stream = TcpStream::connect(&address).unwrap();
            let _ = stream.write_all(PREFACE).and_then(|()| stream.write_all(&bytes));
        }
    }
    assert!(cluster.members[0].exited().is_none());
    still_serves(&cluster).await;
}

pub async fn half_a_frame(server: Server) {
    let mut cluster = Cluster::start(&server, Shape::of(3)).await;
    // A frame header that promises 16 KiB of a request and 10 bytes of it, then silence.
    let frame = [&[0, 0x40, 0, 0, 0, 0, 0, 0, 1][..], &[7; 10]].concat();
    let mut open = Vec::new();
    for address in cluster.members.iter().flat_map(|m| [m.client_address(), m.peer_address()]) {
        for _ in 0..CONNECTIONS {
            let mut stream = TcpStream::connect(&address).unwrap();
            let _ = stream.write_all(PREFACE).and_then(|()| stream.write_all(&frame));
            let mut stream_http1 = TcpStream::connect(&address).unwrap();
            let _ =
                stream_http1.write_all(b"POST /v3/kv/put HTTP/1.1\r\ncontent-length: 100\r\n\r\n{");
            open.extend([stream, stream_http1]);
        }
    }
    still_serves(&cluster).await;
    let follower = cluster.follower().await;
    cluster.members[follower].kill();
    cluster.members[follower].start();
    cluster.members[follower].ready().await;
    still_serves(&cluster).await;
    drop(open);
}

pub async fn other_cluster(server: Server) {
    let cluster = Cluster::start(&server, Shape::of(3)).await;
    still_serves(&cluster).await;
    let before = cluster.client().member_list(pb::MemberListRequest::default()).await.unwrap();
    // The stranger lists our members beside itself, but has its own token and was never added.
    let mut strangers = Cluster::prepare(&server, Shape::of(1));
    let ours: Vec<String> = cluster
        .members
        .iter()
        .map(|member| format!("{}={}", member.name(), member.peer_url()))
        .collect();
    let stranger = &mut strangers.members[0];
    let own = stranger.peer_url();
    let listed = format!("m1={own},{}", ours.join(",").replace("m1=", "o1="));
    stranger.flags_mut().initial_cluster = listed;
    stranger.start();
    let client = stranger.client().with_timeout(Duration::from_secs(2));
    // It ends, or it waits for ever for a majority it does not get: both are fine.
    let write = pb::PutRequest { key: "stranger".into(), ..Default::default() };
    for _ in 0..3 {
        client.put(write.clone()).await.expect_err("a stranger serves");
    }
    let after = cluster.client().member_list(pb::MemberListRequest::default()).await.unwrap();
    assert_eq!(after.members, before.members);
    still_serves(&cluster).await;
    let read = pb::RangeRequest { key: "stranger".into(), ..Default::default() };
    assert_eq!(cluster.client().range(read).await.unwrap().count, 0);
    eventually("the cluster keeps its leader", async || {
        let status = cluster.client().status(pb::Empty {}).await.ok()?;
        (status.leader != 0).then_some(())
    })
    .await;
}
