//! Leases: etcd-surface 1.10.

use std::time::Duration;

use quorate_tests::{Client, Server, eventually, pb};
use tonic::Code;

use crate::ask::{
    create, delete, events, everything, get, keys, one, put, put_at, refused, shorts, watching,
};

async fn grant(client: &Client, id: i64, ttl: i64) -> pb::LeaseGrantResponse {
    client.lease_grant(pb::LeaseGrantRequest { ttl, id }).await.unwrap()
}

async fn put_leased(client: &Client, key: &str, lease: i64) {
    client.put(pb::PutRequest { lease, ..put(key, "v") }).await.unwrap();
}

async fn time_to_live(client: &Client, id: i64) -> pb::LeaseTimeToLiveResponse {
    client.lease_time_to_live(pb::LeaseTimeToLiveRequest { id, keys: true }).await.unwrap()
}

fn sorted_keys(answer: &pb::LeaseTimeToLiveResponse) -> Vec<String> {
    let mut keys: Vec<_> =
        answer.keys.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect();
    keys.sort();
    keys
}

pub async fn grants_have_a_floor_and_a_ceiling(server: Server) {
    let (_cluster, client) = one(&server).await;
    // The floor is one and a half election timeouts, rounded up to seconds.
    for ttl in [1, 0, -5] {
        let granted = grant(&client, 0, ttl).await;
        assert_eq!(granted.ttl, 2, "asked for {ttl}");
        assert!(granted.id > 0 && granted.header.unwrap().revision == 1);
    }
    assert_eq!(grant(&client, 0, 9_000_000_000).await.ttl, 9_000_000_000);
    let over = pb::LeaseGrantRequest { ttl: 9_000_000_001, id: 0 };
    refused(client.lease_grant(over).await, Code::OutOfRange, "etcdserver: too large lease TTL");
}

pub async fn a_lease_id_is_granted_once(server: Server) {
    let (_cluster, client) = one(&server).await;
    assert_eq!(grant(&client, 42, 100).await.id, 42);
    let again = pb::LeaseGrantRequest { ttl: 100, id: 42 };
    let text = "etcdserver: lease already exists";
    refused(client.lease_grant(again.clone()).await, Code::FailedPrecondition, text);
    client.lease_revoke(pb::LeaseIdRequest { id: 42 }).await.unwrap();
    client.lease_grant(again).await.unwrap();
    let listed = client.lease_leases(pb::Empty {}).await.unwrap().leases;
    assert_eq!(listed, [pb::LeaseStatus { id: 42 }]);
}

pub async fn unknown_leases_are_answered_differently_by_each_call(server: Server) {
    let (_cluster, client) = one(&server).await;
    let text = "etcdserver: requested lease not found";
    refused(client.lease_revoke(pb::LeaseIdRequest { id: 7 }).await, Code::NotFound, text);
    let dead = time_to_live(&client, 7).await;
    assert_eq!((dead.id, dead.ttl, dead.granted_ttl, dead.keys.len()), (7, -1, 0, 0));
    let mut stream = client.keep_alive().await.unwrap();
    stream.send(pb::LeaseIdRequest { id: 7 }).await;
    let answer = stream.expect().await;
    assert_eq!((answer.id, answer.ttl), (7, 0), "a normal reply, not an error");
    assert_eq!(client.lease_leases(pb::Empty {}).await.unwrap().leases, []);
}

pub async fn keep_alive_restarts_the_clock_of_several_leases(server: Server) {
    let (_cluster, client) = one(&server).await;
    grant(&client, 1, 100).await;
    grant(&client, 2, 200).await;
    let mut stream = client.keep_alive().await.unwrap();
    for (id, ttl) in [(1, 100), (2, 200), (1, 100), (9, 0)] {
        stream.send(pb::LeaseIdRequest { id }).await;
        let answer = stream.expect().await;
        assert_eq!((answer.id, answer.ttl), (id, ttl));
        assert_eq!(answer.header.unwrap().revision, 1);
    }
    let alive = time_to_live(&client, 2).await;
    assert!((195..=200).contains(&alive.ttl) && alive.granted_ttl == 200, "{alive:?}");
}

pub async fn revoking_deletes_all_keys_in_one_revision(server: Server) {
    let (_cluster, client) = one(&server).await;
    grant(&client, 5, 100).await;
    for key in ["b", "a", "c"] {
        put_leased(&client, key, 5).await;
    }
    assert_eq!(sorted_keys(&time_to_live(&client, 5).await), ["a", "b", "c"]);
    let mut stream = client.watch().await.unwrap();
    create(&mut stream, watching("\0", "\0", 0)).await;
    let revoked = client.lease_revoke(pb::LeaseIdRequest { id: 5 }).await.unwrap();
    assert_eq!(revoked.header.unwrap().revision, 5);
    assert_eq!(
        shorts(&events(&mut stream, 0, 3).await),
        ["delete a@5", "delete b@5", "delete c@5"]
    );
    // Without keys there is nothing to write.
    grant(&client, 6, 100).await;
    let revoked = client.lease_revoke(pb::LeaseIdRequest { id: 6 }).await.unwrap();
    assert_eq!(revoked.header.unwrap().revision, 5);
}

pub async fn keys_move_between_leases(server: Server) {
    let (_cluster, client) = one(&server).await;
    grant(&client, 1, 100).await;
    grant(&client, 2, 100).await;
    put_leased(&client, "a", 1).await;
    put_leased(&client, "b", 1).await;
    put_leased(&client, "c", 1).await;
    put_leased(&client, "a", 2).await;
    put_at(&client, "b", "detached").await;
    assert_eq!(sorted_keys(&time_to_live(&client, 1).await), ["c"]);
    assert_eq!(sorted_keys(&time_to_live(&client, 2).await), ["a"]);
    let kept = pb::PutRequest { ignore_lease: true, ..put("a", "kept") };
    client.put(kept).await.unwrap();
    assert_eq!(client.range(get("a")).await.unwrap().kvs[0].lease, 2);
    client.delete_range(delete("c")).await.unwrap();
    assert!(time_to_live(&client, 1).await.keys.is_empty());
    client.lease_revoke(pb::LeaseIdRequest { id: 1 }).await.unwrap();
    client.lease_revoke(pb::LeaseIdRequest { id: 2 }).await.unwrap();
    assert_eq!(keys(&client.range(everything()).await.unwrap()), ["b"]);
}

pub async fn an_expired_lease_deletes_its_keys(server: Server) {
    let (_cluster, client) = one(&server).await;
    grant(&client, 3, 2).await;
    grant(&client, 4, 1000).await;
    put_leased(&client, "mortal", 3).await;
    put_leased(&client, "safe", 4).await;
    let mut stream = client.watch().await.unwrap();
    create(&mut stream, watching("\0", "\0", 0)).await;
    assert_eq!(shorts(&events(&mut stream, 0, 1).await), ["delete mortal@4"]);
    assert_eq!(keys(&client.range(everything()).await.unwrap()), ["safe"]);
    eventually("the lease is gone", async || {
        let left = client.with_timeout(Duration::from_secs(2)).lease_leases(pb::Empty {}).await;
        (left.ok()?.leases == [pb::LeaseStatus { id: 4 }]).then_some(())
    })
    .await;
    assert_eq!(time_to_live(&client, 3).await.ttl, -1);
}
