//! Range, Put, DeleteRange: etcd-surface 1.3 to 1.5.

use quorate_tests::{Server, pb};
use tonic::Code;

use crate::ask::{
    between, compact, delete, delete_between, everything, get, keys, one, put, put_at, refused,
};

pub async fn headers_follow_the_revision_rules(server: Server) {
    let (_cluster, client) = one(&server).await;
    let header = client.range(get("a")).await.unwrap().header.unwrap();
    assert_eq!(header.revision, 1, "an empty store is at revision 1");
    assert!(header.cluster_id != 0 && header.member_id != 0 && header.raft_term > 0, "{header:?}");

    let written = client.put(put("a", "1")).await.unwrap().header.unwrap();
    assert_eq!(written, pb::Header { revision: 2, ..header.clone() });
    let nothing = client.delete_range(delete("absent")).await.unwrap();
    assert_eq!((nothing.deleted, nothing.header.unwrap().revision), (0, 2));
    let deleted = client.delete_range(delete("a")).await.unwrap();
    assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (1, 3));

    let old = client.range(pb::RangeRequest { revision: 2, ..get("a") }).await.unwrap();
    assert_eq!(old.header.unwrap().revision, 3, "the store's revision, not the one asked for");
    let serializable = pb::RangeRequest { serializable: true, ..get("a") };
    let local = client.range(serializable).await.unwrap().header.unwrap();
    assert_eq!(local, pb::Header { revision: 3, ..header });
    let compacted = client.compact(compact(2)).await.unwrap().header.unwrap();
    assert_eq!(compacted.revision, 3, "compaction takes no revision");
}

pub async fn range_ends_select_what_etcd_selects(server: Server) {
    let (_cluster, client) = one(&server).await;
    for key in ["a", "b", "b/1", "b/2", "b0", "c"] {
        put_at(&client, key, key).await;
    }
    let cases: [(&str, &str, &[&str]); 9] = [
        ("b", "", &["b"]),
        ("b/", "b0", &["b/1", "b/2"]),
        ("b", "\0", &["b", "b/1", "b/2", "b0", "c"]),
        ("\0", "\0", &["a", "b", "b/1", "b/2", "b0", "c"]),
        ("b", "b", &[]),
        ("c", "a", &[]),
        ("b", "b\0", &["b"]),
        ("d", "\0", &[]),
        ("a\0", "b0", &["b", "b/1", "b/2"]),
    ];
    for (key, range_end, expected) in cases {
        let answer = client.range(between(key, range_end)).await.unwrap();
        assert_eq!(keys(&answer), expected, "[{key:?}, {range_end:?})");
        assert_eq!(answer.count, expected.len() as i64, "[{key:?}, {range_end:?})");
    }
    let no_key = Code::InvalidArgument;
    refused(client.range(get("")).await, no_key, "etcdserver: key is not provided");
    refused(client.range(between("", "\0")).await, no_key, "etcdserver: key is not provided");
}

pub async fn limit_count_and_more_agree(server: Server) {
    let (_cluster, client) = one(&server).await;
    for key in ["a", "b", "c"] {
        put_at(&client, key, key).await;
    }
    for (limit, shown, more) in
        [(0, 3, false), (-1, 3, false), (2, 2, true), (3, 3, false), (4, 3, false)]
    {
        let answer = client.range(pb::RangeRequest { limit, ..everything() }).await.unwrap();
        assert_eq!(
            (answer.kvs.len(), answer.more, answer.count),
            (shown, more, 3),
            "limit {limit}"
        );
    }
    let request = pb::RangeRequest { count_only: true, limit: 1, ..everything() };
    let counted = client.range(request).await.unwrap();
    assert_eq!((counted.kvs.len(), counted.more, counted.count), (0, false, 3));
    let request = pb::RangeRequest { keys_only: true, ..everything() };
    let blank = client.range(request).await.unwrap();
    assert!(blank.kvs.iter().all(|kv| kv.value.is_empty() && kv.mod_revision > 1), "{blank:?}");
}

pub async fn sorting_and_filters_come_before_the_limit(server: Server) {
    let (_cluster, client) = one(&server).await;
    // Revisions: a 2 and 5, b 3, c 4; values in reverse order of keys.
    for (key, value) in [("a", "z"), ("b", "y"), ("c", "x"), ("a", "w")] {
        put_at(&client, key, value).await;
    }
    let cases: [(i32, i32, [&str; 3]); 8] = [
        (2, 0, ["c", "b", "a"]),
        (1, 1, ["b", "c", "a"]),
        (2, 2, ["c", "b", "a"]),
        (1, 3, ["b", "c", "a"]),
        (2, 3, ["a", "c", "b"]),
        (1, 4, ["a", "c", "b"]),
        // Order "none" with another target than the key is ascending.
        (0, 3, ["b", "c", "a"]),
        (0, 0, ["a", "b", "c"]),
    ];
    for (sort_order, sort_target, expected) in cases {
        for limit in [0, 1, 2] {
            let request = pb::RangeRequest { sort_order, sort_target, limit, ..everything() };
            let answer = client.range(request).await.unwrap();
            let shown = if limit == 0 { 3 } else { limit as usize };
            assert_eq!(keys(&answer), expected[..shown], "order {sort_order} target {sort_target}");
            assert_eq!((answer.count, answer.more), (3, shown < 3));
        }
    }
    let request = pb::RangeRequest { min_mod_revision: 4, limit: 1, ..everything() };
    let filtered = client.range(request).await.unwrap();
    assert_eq!((keys(&filtered), filtered.count, filtered.more), (vec!["a".to_owned()], 3, true));
    let request = pb::RangeRequest { max_mod_revision: 4, min_create_revision: 3, ..everything() };
    assert_eq!(keys(&client.range(request).await.unwrap()), ["b", "c"]);
    let request = pb::RangeRequest { max_create_revision: 2, ..everything() };
    assert_eq!(keys(&client.range(request).await.unwrap()), ["a"]);

    let nonsense = [
        pb::RangeRequest { sort_order: 9, ..everything() },
        pb::RangeRequest { sort_target: 9, ..everything() },
    ];
    for request in nonsense {
        let answer = client.range(request).await;
        if server.at_least(3, 6) {
            refused(answer, Code::InvalidArgument, "etcdserver: invalid sort option");
        } else if let Err(status) = answer {
            // Before 3.6 it is not checked; whatever comes, the member must survive it.
            assert_ne!(status.code(), Code::InvalidArgument, "{status:?}");
        }
    }
}

pub async fn reads_at_revisions_are_bounded_by_compaction_and_present(server: Server) {
    let (_cluster, client) = one(&server).await;
    for value in ["2", "3", "4", "5"] {
        put_at(&client, "a", value).await;
    }
    client.delete_range(delete("a")).await.unwrap();
    let at = |revision| pb::RangeRequest { revision, ..get("a") };
    for (revision, value) in [(2, "2"), (4, "4"), (5, "5"), (-7, ""), (0, ""), (6, "")] {
        let answer = client.range(at(revision)).await.unwrap();
        let seen = answer.kvs.first().map_or("", |kv| std::str::from_utf8(&kv.value).unwrap());
        assert_eq!(seen, value, "at {revision}");
    }
    client.compact(compact(4)).await.unwrap();
    let compacted = "etcdserver: mvcc: required revision has been compacted";
    refused(client.range(at(3)).await, Code::OutOfRange, compacted);
    assert_eq!(client.range(at(4)).await.unwrap().kvs[0].value, "4");
    let future = "etcdserver: mvcc: required revision is a future revision";
    refused(client.range(at(7)).await, Code::OutOfRange, future);
    let local = pb::RangeRequest { serializable: true, ..at(3) };
    refused(client.range(local).await, Code::OutOfRange, compacted);
}

pub async fn puts_are_refused_with_etcds_texts(server: Server) {
    let (_cluster, client) = one(&server).await;
    let bad = Code::InvalidArgument;
    refused(client.put(put("", "x")).await, bad, "etcdserver: key is not provided");
    refused(client.delete_range(delete("")).await, bad, "etcdserver: key is not provided");
    let with_value = pb::PutRequest { ignore_value: true, ..put("a", "x") };
    refused(client.put(with_value).await, bad, "etcdserver: value is provided");
    let with_lease = pb::PutRequest { ignore_lease: true, lease: 5, ..put("a", "x") };
    refused(client.put(with_lease).await, bad, "etcdserver: lease is provided");
    let no_value = pb::PutRequest { ignore_value: true, ..put("absent", "") };
    refused(client.put(no_value).await, bad, "etcdserver: key not found");
    let no_lease = pb::PutRequest { ignore_lease: true, ..put("absent", "x") };
    refused(client.put(no_lease).await, bad, "etcdserver: key not found");
    let unknown_lease = pb::PutRequest { lease: 77, ..put("a", "x") };
    let text = "etcdserver: requested lease not found";
    refused(client.put(unknown_lease).await, Code::NotFound, text);
    let present = client.range(everything()).await.unwrap();
    assert_eq!((present.count, present.header.unwrap().revision), (0, 1), "nothing happened");

    put_at(&client, "empty", "").await;
    assert_eq!(client.range(get("empty")).await.unwrap().kvs[0].value, "");
}

pub async fn previous_values_are_returned_when_asked_for(server: Server) {
    let (_cluster, client) = one(&server).await;
    let asking = |key, value| pb::PutRequest { prev_kv: true, ..put(key, value) };
    assert_eq!(client.put(asking("a", "1")).await.unwrap().prev_kv, None);
    let previous = client.put(asking("a", "2")).await.unwrap().prev_kv.unwrap();
    assert_eq!((previous.value.as_ref(), previous.version), (b"1".as_ref(), 1));
    assert_eq!(client.put(put("a", "3")).await.unwrap().prev_kv, None, "not asked for");

    let keep = pb::PutRequest { ignore_value: true, ..asking("a", "") };
    let previous = client.put(keep).await.unwrap().prev_kv.unwrap();
    assert_eq!((previous.value.as_ref(), previous.mod_revision), (b"3".as_ref(), 4));
    let now = client.range(get("a")).await.unwrap().kvs.remove(0);
    assert_eq!(
        (now.value.as_ref(), now.create_revision, now.mod_revision, now.version),
        (b"3".as_ref(), 2, 5, 4)
    );
}

pub async fn deletions_share_one_revision(server: Server) {
    let (_cluster, client) = one(&server).await;
    for key in ["a", "b", "c"] {
        put_at(&client, key, key).await;
    }
    let request = pb::DeleteRangeRequest { prev_kv: true, ..delete_between("a", "c") };
    let deleted = client.delete_range(request).await.unwrap();
    let previous: Vec<_> = deleted.prev_kvs.iter().map(|kv| kv.key.clone()).collect();
    assert_eq!((deleted.deleted, deleted.header.unwrap().revision), (2, 5));
    assert_eq!(previous, ["a", "b"]);
    // A key that comes back starts anew.
    put_at(&client, "a", "again").await;
    let back = client.range(get("a")).await.unwrap().kvs.remove(0);
    assert_eq!((back.create_revision, back.mod_revision, back.version), (6, 6, 1));
}

pub async fn unknown_methods_are_unimplemented(server: Server) {
    let (_cluster, client) = one(&server).await;
    for path in ["/etcdserverpb.KV/Frobnicate", "/etcdserverpb.Nothing/Range"] {
        let answer = client.unary::<_, pb::HeaderOnly>(path, pb::Empty {}).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{path}");
    }
}

pub async fn a_range_stream_is_one_pinned_range(server: Server) {
    let (_cluster, client) = one(&server).await;
    for number in 0..100 {
        put_at(&client, &format!("k/{number:03}"), "value").await;
    }
    let opened = client.range_stream(between("k/", "k0")).await;
    if !server.at_least(3, 7) {
        // 3.7 introduced it; Kubernetes falls back on exactly this code.
        let answer = match opened {
            Ok(mut stream) => stream.message().await.map(|_| ()),
            Err(status) => Err(status),
        };
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
        return;
    }
    let mut stream = opened.unwrap();
    let (mut seen, mut last) = (Vec::new(), None);
    while let Some(chunk) = stream.message().await.unwrap() {
        let chunk = chunk.range_response.unwrap();
        assert!(last.is_none(), "only the last chunk has a header");
        seen.extend(keys(&chunk));
        last = chunk.header.clone().map(|header| (header.revision, chunk.count, chunk.more));
    }
    let expected: Vec<String> = (0..100).map(|number| format!("k/{number:03}")).collect();
    assert_eq!((seen, last), (expected, Some((101, 100, false))));

    let sorted = pb::RangeRequest { sort_order: 2, ..everything() };
    let answer = match client.range_stream(sorted).await {
        Ok(mut stream) => stream.message().await.map(|_| ()),
        Err(status) => Err(status),
    };
    assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
}
