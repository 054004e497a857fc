//! Watches: etcd-surface 1.9 and its list of gotchas.

use std::time::Duration;

use bytes::Bytes;
use quorate_tests::{Server, pb};

use crate::ask::{
    WatchStream, always, compact, create, delete, events, one, one_with, op, put, put_at, short,
    shorts, watch_cancel, watch_create, watch_progress, watching,
};

/// Reads until a progress response comes; everything else must be empty of events.
async fn progress(stream: &mut WatchStream) -> pb::WatchResponse {
    let response = stream.expect().await;
    assert!(response.events.is_empty() && !response.created && !response.canceled, "{response:?}");
    response
}

pub async fn a_watch_starts_after_its_created_header(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "before").await;
    let mut stream = client.watch().await.unwrap();
    let created = create(&mut stream, watching("a", "", 0)).await;
    assert_eq!((created.watch_id, created.header.unwrap().revision), (0, 2));
    put_at(&client, "a", "after").await;
    put_at(&client, "b", "elsewhere").await;
    client.delete_range(delete("a")).await.unwrap();
    let seen = events(&mut stream, 0, 2).await;
    assert_eq!(shorts(&seen), ["put a@3", "delete a@5"]);
    let gone = seen[1].kv.clone().unwrap();
    let only_key_and_revision =
        pb::KeyValue { key: Bytes::from_static(b"a"), mod_revision: 5, ..Default::default() };
    assert_eq!(gone, only_key_and_revision);
    assert_eq!(seen[1].prev_kv, None, "not asked for");
}

pub async fn watch_ids_count_from_zero_and_skip_used_ones(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    let mut ids = Vec::new();
    for watch_id in [0, 0, 2, 0, 0] {
        let request = pb::WatchCreateRequest { watch_id, ..watching("a", "", 0) };
        ids.push(create(&mut stream, request).await.watch_id);
    }
    assert_eq!(ids, [0, 1, 2, 3, 4]);
}

pub async fn a_used_watch_id_is_refused(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    let request = pb::WatchCreateRequest { watch_id: 5, ..watching("a", "", 0) };
    assert_eq!(create(&mut stream, request.clone()).await.watch_id, 5);
    let refused = create(&mut stream, request).await;
    assert_eq!((refused.watch_id, refused.canceled), (-1, true));
    assert_eq!(refused.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
    put_at(&client, "a", "1").await;
    assert_eq!(shorts(&events(&mut stream, 5, 1).await), ["put a@2"], "the first one goes on");
}

pub async fn ranges_are_normalised_or_refused(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    for (key, range_end) in [("b", "a"), ("a", "a")] {
        let refused = create(&mut stream, watching(key, range_end, 0)).await;
        assert_eq!((refused.watch_id, refused.canceled), (-1, true), "[{key:?}, {range_end:?})");
        if server.at_least(3, 6) {
            // Older releases give no reason.
            assert_eq!(refused.cancel_reason, "mvcc: watcher range is empty");
        }
    }
    let everything = create(&mut stream, watching("", "\0", 0)).await.watch_id;
    let from_b = create(&mut stream, watching("b", "\0", 0)).await.watch_id;
    let zero_key = create(&mut stream, watching("", "", 0)).await.watch_id;
    assert_eq!((everything, from_b, zero_key), (0, 1, 2));
    client.txn(always(vec![op(put("a", "1")), op(put("b", "1"))])).await.unwrap();
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 2 {
        let response = stream.expect().await;
        seen.insert(response.watch_id, shorts(&response.events));
    }
    let both = vec!["put a@2".to_owned(), "put b@2".to_owned()];
    let second = vec!["put b@2".to_owned()];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [(0, both), (1, second)]);
}

pub async fn a_replay_equals_what_was_seen_live(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut live = client.watch().await.unwrap();
    create(&mut live, watching("k", "l", 0)).await;
    for round in 0..40 {
        put_at(&client, &format!("k{}", round % 7), "v").await;
        if round % 5 == 0 {
            client.delete_range(delete(&format!("k{}", round % 7))).await.unwrap();
        }
    }
    let seen = events(&mut live, 0, 48).await;
    let revisions: Vec<i64> =
        seen.iter().map(|event| event.kv.as_ref().unwrap().mod_revision).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
    for start in [2, 3, 20, 49] {
        let mut replay = client.watch().await.unwrap();
        create(&mut replay, watching("k", "l", start)).await;
        let expected: Vec<_> = seen
            .iter()
            .filter(|event| event.kv.as_ref().unwrap().mod_revision >= start)
            .cloned()
            .collect();
        assert_eq!(events(&mut replay, 0, expected.len()).await, expected, "from {start}");
    }
}

pub async fn a_compacted_start_is_created_then_cancelled(server: Server) {
    let (_cluster, client) = one(&server).await;
    for value in ["1", "2", "3"] {
        put_at(&client, "a", value).await;
    }
    client.compact(compact(4)).await.unwrap();
    let mut stream = client.watch().await.unwrap();
    let created = create(&mut stream, watching("a", "", 3)).await;
    assert_eq!((created.canceled, created.compact_revision), (false, 0));
    let cancelled = stream.expect().await;
    assert!(cancelled.canceled && !cancelled.created, "{cancelled:?}");
    assert_eq!((cancelled.watch_id, cancelled.compact_revision), (created.watch_id, 4));
    assert_eq!(cancelled.cancel_reason, "");
    if !server.at_least(3, 6) {
        // Verified on 3.4 and 3.5.
        assert_eq!(cancelled.header.unwrap().revision, 0);
    }
    // The stream lives on, and exactly the compacted revision is fine.
    let at = create(&mut stream, watching("a", "", 4)).await.watch_id;
    assert_eq!(shorts(&events(&mut stream, at, 1).await), ["put a@4"]);
}

pub async fn a_negative_start_is_handled_as_etcd_does(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    client.compact(compact(2)).await.unwrap();
    let mut stream = client.watch().await.unwrap();
    let created = create(&mut stream, watching("a", "", -1)).await;
    if server.at_least(3, 6) {
        assert_eq!((created.canceled, created.watch_id), (true, -1), "{created:?}");
        let text = "mvcc: required revision has been compacted";
        assert!(created.cancel_reason.ends_with(text), "{created:?}");
    } else {
        // Before, it was a start below the compacted revision like any other.
        let cancelled = stream.expect().await;
        assert_eq!((cancelled.canceled, cancelled.compact_revision), (true, 2), "{cancelled:?}");
    }
}

pub async fn a_future_start_delivers_nothing_earlier(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    let created = create(&mut stream, watching("a", "", 4)).await;
    assert_eq!(created.header.unwrap().revision, 1);
    for value in ["2", "3", "4", "5"] {
        put_at(&client, "a", value).await;
    }
    assert_eq!(shorts(&events(&mut stream, 0, 2).await), ["put a@4", "put a@5"]);
}

pub async fn filters_drop_silently(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    let (no_put, no_delete) = (0, 1);
    let filtered = |filters| pb::WatchCreateRequest { filters, ..watching("a", "", 2) };
    put_at(&client, "a", "1").await;
    client.delete_range(delete("a")).await.unwrap();
    put_at(&client, "a", "2").await;
    client.delete_range(delete("a")).await.unwrap();
    let deletes = create(&mut stream, filtered(vec![no_put])).await.watch_id;
    assert_eq!(shorts(&events(&mut stream, deletes, 2).await), ["delete a@3", "delete a@5"]);
    let puts = create(&mut stream, filtered(vec![no_delete])).await.watch_id;
    assert_eq!(shorts(&events(&mut stream, puts, 2).await), ["put a@2", "put a@4"]);
    // Live: the next message of a watcher that drops puts is the deletion, not an empty response.
    let mut live = client.watch().await.unwrap();
    let request = pb::WatchCreateRequest { filters: vec![no_put], ..watching("a", "", 0) };
    create(&mut live, request).await;
    put_at(&client, "a", "3").await;
    client.delete_range(delete("a")).await.unwrap();
    let next = live.expect().await;
    assert_eq!(shorts(&next.events), ["delete a@7"]);
}

pub async fn previous_values_are_those_one_revision_before(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    put_at(&client, "a", "2").await;
    client.delete_range(delete("a")).await.unwrap();
    put_at(&client, "a", "3").await;
    for start in [2, 0] {
        let mut stream = client.watch().await.unwrap();
        let request = pb::WatchCreateRequest { prev_kv: true, ..watching("a", "", start) };
        create(&mut stream, request).await;
        if start == 0 {
            put_at(&client, "a", "4").await;
        }
        let count = if start == 0 { 1 } else { 4 };
        let seen: Vec<(String, Option<Bytes>)> = events(&mut stream, 0, count)
            .await
            .iter()
            .map(|event| (short(event), event.prev_kv.clone().map(|kv| kv.value)))
            .collect();
        let value = |text: &'static str| Some(Bytes::from_static(text.as_bytes()));
        let all = [
            ("put a@2".to_owned(), None),
            ("put a@3".to_owned(), value("1")),
            ("delete a@4".to_owned(), value("2")),
            ("put a@5".to_owned(), None),
        ];
        let live = [("put a@6".to_owned(), value("3"))];
        assert_eq!(seen, if start == 0 { live.to_vec() } else { all.to_vec() });
    }
}

pub async fn cancelling_answers_once_and_unknown_ids_stay_silent(server: Server) {
    let (_cluster, client) = one(&server).await;
    let mut stream = client.watch().await.unwrap();
    create(&mut stream, watching("a", "", 0)).await;
    create(&mut stream, watching("a", "", 0)).await;
    stream.send(watch_cancel(99)).await;
    stream.send(watch_cancel(0)).await;
    let cancelled = stream.expect().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled), (0, true), "{cancelled:?}");
    assert_eq!((cancelled.cancel_reason.as_str(), cancelled.compact_revision), ("", 0));
    stream.send(watch_cancel(0)).await;
    put_at(&client, "a", "1").await;
    let next = stream.expect().await;
    assert_eq!((next.watch_id, shorts(&next.events)), (1, vec!["put a@2".to_owned()]));
}

pub async fn manual_progress_comes_on_watch_id_minus_one(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "a", "1").await;
    let mut stream = client.watch().await.unwrap();
    create(&mut stream, watching("a", "", 0)).await;
    create(&mut stream, watching("b", "", 0)).await;
    stream.send(watch_progress()).await;
    let answer = progress(&mut stream).await;
    let revision = answer.header.unwrap().revision;
    if server.at_least(3, 6) {
        assert_eq!((answer.watch_id, revision), (-1, 2));
    } else {
        // 3.4.23 and 3.5.1 predate the fix of etcd issue 15220; only the shape is checked there.
        assert!(revision >= 2, "{revision}");
    }
    // The revision never runs ahead of what was delivered: the event comes before it.
    put_at(&client, "a", "2").await;
    stream.send(watch_progress()).await;
    let (mut delivered, mut confirmed) = (false, 0);
    while !delivered || confirmed < 3 {
        let response = stream.expect().await;
        if response.events.is_empty() {
            confirmed = response.header.unwrap().revision;
            assert!(delivered || confirmed < 3 || !server.at_least(3, 6), "progress before event");
            if confirmed < 3 {
                stream.send(watch_progress()).await;
            }
        } else {
            delivered = true;
        }
    }
}

pub async fn periodic_progress_carries_the_current_revision(server: Server) {
    let flag = server.progress_interval_flag("200ms");
    let (_cluster, client) = one_with(&server, &[&flag]).await;
    put_at(&client, "a", "1").await;
    let mut stream = client.watch().await.unwrap();
    let request = pb::WatchCreateRequest { progress_notify: true, ..watching("a", "", 0) };
    create(&mut stream, request).await;
    let first = progress(&mut stream).await;
    assert_eq!((first.watch_id, first.header.unwrap().revision), (0, 2));
    put_at(&client, "elsewhere", "1").await;
    loop {
        let next = progress(&mut stream).await;
        let revision = next.header.unwrap().revision;
        assert!((2..=3).contains(&revision), "{revision}");
        if revision == 3 {
            break;
        }
    }
}

/// One revision of which the events, with their predecessors, do not fit into one message of
/// 2 MiB: how a catch-up over several revisions is cut is nobody's business, this one is.
pub async fn large_responses_are_fragmented_only_when_asked(server: Server) {
    let (_cluster, client) = one(&server).await;
    let sized = |key: &str| {
        let value = Bytes::from(vec![b'v'; 350_000]);
        op(pb::PutRequest { value, ..put(key, "") })
    };
    for _ in 0..2 {
        client.txn(always(["k0", "k1", "k2", "k3"].map(sized).to_vec())).await.unwrap();
    }
    let mut stream = client.watch().await.unwrap();
    let prev_kv = pb::WatchCreateRequest { prev_kv: true, ..watching("k", "l", 3) };
    create(&mut stream, pb::WatchCreateRequest { fragment: true, ..prev_kv.clone() }).await;
    let expected = ["put k0@3", "put k1@3", "put k2@3", "put k3@3"];
    let mut parts = Vec::new();
    loop {
        let part = stream.expect().await;
        assert!(!part.events.is_empty());
        parts.push((shorts(&part.events), part.fragment));
        if !part.fragment {
            break;
        }
    }
    assert!(parts.len() >= 2, "2.8 MB do not fit into one message of 2 MiB: {parts:?}");
    let all: Vec<String> = parts.into_iter().flat_map(|(events, _)| events).collect();
    assert_eq!(all, expected, "the last part, and only that one, is not marked");

    let mut whole = client.watch().await.unwrap();
    create(&mut whole, prev_kv).await;
    let response = whole.expect().await;
    assert_eq!(
        (shorts(&response.events), response.fragment),
        (expected.map(str::to_owned).to_vec(), false)
    );
}

pub async fn a_transaction_arrives_as_one_response(server: Server) {
    let (_cluster, client) = one(&server).await;
    put_at(&client, "c", "1").await;
    let mut live = client.watch().await.unwrap();
    create(&mut live, watching("\0", "\0", 0)).await;
    let request = always(vec![op(put("b", "1")), op(put("a", "1")), op(delete("c"))]);
    client.txn(request).await.unwrap();
    let expected = ["put b@3", "put a@3", "delete c@3"];
    assert_eq!(shorts(&live.expect().await.events), expected, "in order of operations");
    let mut replay = client.watch().await.unwrap();
    create(&mut replay, watching("\0", "\0", 3)).await;
    assert_eq!(shorts(&replay.expect().await.events), expected);
}

pub async fn a_compaction_cancels_only_watchers_behind_it(server: Server) {
    let (_cluster, client) = one(&server).await;
    for value in ["1", "2", "3"] {
        put_at(&client, "a", value).await;
    }
    let mut stream = client.watch().await.unwrap();
    let current = create(&mut stream, watching("a", "", 0)).await.watch_id;
    client.compact(compact(4)).await.unwrap();
    let at = create(&mut stream, watching("a", "", 4)).await.watch_id;
    stream.send(watch_create(watching("a", "", 2))).await;
    let mut cancelled = Vec::new();
    let mut delivered = Vec::new();
    put_at(&client, "a", "4").await;
    while cancelled.is_empty() || delivered.len() < 3 {
        let response = stream.expect().await;
        if response.canceled {
            cancelled.push((response.watch_id, response.compact_revision));
        } else {
            delivered.extend(response.events.iter().map(|event| (response.watch_id, short(event))));
        }
    }
    delivered.sort();
    assert_eq!(cancelled, [(2, 4)]);
    let expected = [(current, "put a@5"), (at, "put a@4"), (at, "put a@5")];
    assert_eq!(delivered, expected.map(|(id, event)| (id, event.to_owned())));
    // Silence afterwards is not proven by waiting: a progress answer closes the book instead.
    stream.send(watch_progress()).await;
    if server.at_least(3, 6) {
        let last = progress(&mut stream).await;
        assert_eq!((last.watch_id, last.header.unwrap().revision), (-1, 5));
    } else if let Some(answer) = stream.next_within(Duration::from_millis(500)).await {
        assert!(answer.unwrap().unwrap().events.is_empty());
    }
}
