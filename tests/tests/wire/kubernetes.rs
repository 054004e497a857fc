//! The request shapes of kube-apiserver: etcd-surface section 7.

use bytes::Bytes;
use quorate_tests::{Client, Server, pb};

use crate::ask::{
    between, compact, compare, create, delete, events, get, keys, one, op, put, put_at, shorts,
    watch_progress, watching,
};
use pb::CompareResult::Equal;
use pb::CompareWith::{ModRevision, Version};

/// Shapes 2 to 4: `success` if the key is at `revision`, else read it.
async fn guarded(
    client: &Client,
    key: &str,
    revision: i64,
    success: pb::RequestOp,
) -> Result<i64, pb::RangeResponse> {
    let request = pb::TxnRequest {
        compare: vec![compare(key, Equal, ModRevision(revision))],
        success: vec![success],
        failure: vec![op(get(key))],
    };
    let mut answer = client.txn(request).await.unwrap();
    if answer.succeeded {
        return Ok(answer.header.unwrap().revision);
    }
    match answer.responses.remove(0).response.unwrap() {
        pb::Response::Range(range) => Err(range),
        other => panic!("a range was asked for: {other:?}"),
    }
}

pub async fn an_object_lives_through_create_update_delete(server: Server) {
    let (_cluster, client) = one(&server).await;
    let key = "/registry/pods/default/web";
    let created = guarded(&client, key, 0, op(put(key, "v1"))).await.unwrap();
    let conflict = guarded(&client, key, 0, op(put(key, "again"))).await.unwrap_err();
    assert_eq!(
        (conflict.kvs[0].mod_revision, conflict.kvs[0].value.as_ref()),
        (created, b"v1".as_ref())
    );
    let updated = guarded(&client, key, created, op(put(key, "v2"))).await.unwrap();
    assert_eq!(updated, created + 1);
    let stale = guarded(&client, key, created, op(put(key, "lost update"))).await.unwrap_err();
    assert_eq!(stale.kvs[0].mod_revision, updated);
    let deleted = guarded(&client, key, updated, op(delete(key))).await.unwrap();
    assert_eq!(deleted, updated + 1, "the header tells the deletion's revision");
    let gone = guarded(&client, key, updated, op(delete(key))).await.unwrap_err();
    assert_eq!((gone.kvs.len(), gone.count), (0, 0));
}

pub async fn pages_are_pinned_to_the_first_revision(server: Server) {
    let (_cluster, client) = one(&server).await;
    let all: Vec<String> = (0..25).map(|number| format!("/registry/pods/{number:02}")).collect();
    for key in &all {
        put_at(&client, key, "v").await;
    }
    let (mut start, mut revision, mut seen) = ("/registry/pods/".to_owned(), 0, Vec::new());
    loop {
        let page = pb::RangeRequest { limit: 10, revision, ..between(&start, "/registry/pods0") };
        let page = client.range(page).await.unwrap();
        if revision == 0 {
            revision = page.header.as_ref().unwrap().revision;
        }
        assert_eq!(page.count as usize, all.len() - seen.len(), "the rest of the range");
        seen.extend(keys(&page));
        if !page.more {
            break;
        }
        start = format!("{}\0", seen.last().unwrap());
        // Changes between pages must not show.
        put_at(&client, &format!("/registry/pods/{:02}x", seen.len()), "new").await;
        client.delete_range(delete("/registry/pods/24")).await.unwrap();
    }
    assert_eq!(seen, all);
}

pub async fn a_watch_cache_starts_without_a_gap(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "/registry/pods/a", "1").await;
    let list = client.range(between("/registry/pods/", "/registry/pods0")).await.unwrap();
    let revision = list.header.unwrap().revision;
    // What happens between list and watch is replayed.
    put_at(&client, "/registry/pods/a", "2").await;
    put_at(&client, "/registry/nodes/n", "1").await;
    let mut stream = client.watch().await.unwrap();
    let request = pb::WatchCreateRequest {
        prev_kv: true,
        progress_notify: true,
        ..watching("/registry/pods/", "/registry/pods0", revision + 1)
    };
    create(&mut stream, request).await;
    client.delete_range(delete("/registry/pods/a")).await.unwrap();
    let seen = events(&mut stream, 0, 2).await;
    assert_eq!(shorts(&seen), ["put /registry/pods/a@3", "delete /registry/pods/a@5"]);
    let previous: Vec<Bytes> = seen.into_iter().map(|event| event.prev_kv.unwrap().value).collect();
    assert_eq!(previous, ["1", "2"], "a non-create event always has its predecessor");
    if server.at_least(3, 6) {
        // A consistent read from the cache waits for this; versions before 3.5.13 are not trusted.
        stream.send(watch_progress()).await;
        let progress = stream.expect().await;
        assert_eq!((progress.watch_id, progress.header.unwrap().revision), (-1, 5));
    }
}

pub async fn the_compactor_races_itself_safely(server: Server) {
    let (_cluster, client) = one(&server).await;
    for value in ["1", "2", "3"] {
        put_at(&client, "a", value).await;
    }
    let attempt = async |version: i64, revision: &str| {
        let request = pb::TxnRequest {
            compare: vec![compare("compact_rev_key", Equal, Version(version))],
            success: vec![op(put("compact_rev_key", revision))],
            failure: vec![op(get("compact_rev_key"))],
        };
        client.txn(request).await.unwrap()
    };
    assert!(attempt(0, "4").await.succeeded);
    let lost = attempt(0, "4").await;
    let Some(pb::Response::Range(range)) = &lost.responses[0].response else { panic!("a range") };
    assert_eq!(
        (lost.succeeded, range.kvs[0].version, range.kvs[0].value.as_ref()),
        (false, 1, b"4".as_ref())
    );
    assert!(attempt(1, "5").await.succeeded);
    client.compact(compact(4)).await.unwrap();
    assert_eq!(client.range(get("a")).await.unwrap().kvs[0].value, "3");
}

pub async fn a_lease_is_shared_and_never_kept_alive(server: Server) {
    let (_cluster, client) = one(&server).await;
    let lease = client.lease_grant(pb::LeaseGrantRequest { ttl: 3_660, id: 0 }).await.unwrap().id;
    for number in 0..100 {
        let key = format!("/registry/events/{number}");
        let request = pb::PutRequest { lease, ..put(&key, "event") };
        guarded(&client, &key, 0, op(request)).await.unwrap();
    }
    let asked = pb::LeaseTimeToLiveRequest { id: lease, keys: true };
    assert_eq!(client.lease_time_to_live(asked).await.unwrap().keys.len(), 100);
    let stats = pb::RangeRequest { keys_only: true, ..between("/registry/", "/registry0") };
    assert_eq!(client.range(stats).await.unwrap().kvs.len(), 100);
}
