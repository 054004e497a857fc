//! Cases with a story, read from top to bottom: what the client is sent, line by line.

use api::etcdserverpb::WatchCreateRequest;

use super::client::Client;
use super::model::{Edit, Model};
use crate::watch::{Hub, Limits};

/// A store with one client whose hub is always fed at once.
struct Scene {
    model: Model,
    hub: Hub,
    client: Client,
}

impl Scene {
    fn new(limits: Limits) -> Self {
        let mut hub = Hub::new(limits, 1);
        let client = Client::open(&mut hub);
        Self { model: Model::new(), hub, client }
    }

    fn write(&mut self, edits: &[Edit]) {
        let rows = self.model.write(edits, false);
        self.hub.feed(&rows);
    }

    fn put(&mut self, key: u8, value: &[u8]) {
        self.write(&[(key, Some(value.to_vec()))]);
    }

    fn create(&mut self, request: WatchCreateRequest) {
        self.client.create(&mut self.hub, &self.model, request);
    }

    fn bookmark(&mut self) {
        self.hub.request_bookmark(self.client.stream, self.model.current);
    }

    fn catch_up(&mut self) {
        while let Some(turn) = self.hub.plan(self.model.compacted) {
            let replay = turn.read(&self.model).unwrap();
            self.hub.replay(replay, self.model.compacted);
        }
    }

    /// Everything sent since the last call, one line per response.
    fn sent(&mut self) -> Vec<String> {
        while self.client.read(&mut self.hub, &self.model, usize::MAX) {}
        self.client.responses.drain(..).map(|response| line(&response)).collect()
    }
}

/// "id @revision what".
fn line(response: &api::etcdserverpb::WatchResponse) -> String {
    let mut line = format!("{} @{}", response.watch_id, response.header.unwrap().revision);
    for (set, word) in [
        (response.created, " created"),
        (response.canceled, " canceled"),
        (response.fragment, " +"),
    ] {
        line.push_str(if set { word } else { "" });
    }
    if response.compact_revision != 0 {
        line.push_str(&format!(" compacted={}", response.compact_revision));
    }
    if !response.cancel_reason.is_empty() {
        line.push_str(&format!(" ({})", response.cancel_reason));
    }
    for event in &response.events {
        let kv = event.kv.as_ref().unwrap();
        let sign = if event.r#type == 0 { "=" } else { "-" };
        line.push_str(&format!(" {}{sign}{}", char::from(kv.key[0]), kv.mod_revision));
    }
    line
}

fn all_keys() -> WatchCreateRequest {
    WatchCreateRequest { range_end: vec![0].into(), ..Default::default() }
}

fn from(start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest { start_revision, ..all_keys() }
}

fn with_id(watch_id: i64) -> WatchCreateRequest {
    WatchCreateRequest { watch_id, ..all_keys() }
}

fn cold_limits() -> Limits {
    Limits { recent_bytes_max: 0, ..Limits::default() }
}

#[test]
fn ids_count_from_zero_and_skip_what_is_taken() {
    let mut scene = Scene::new(Limits::default());
    for request in [all_keys(), with_id(1), all_keys(), with_id(1), with_id(7)] {
        scene.create(request);
    }
    assert_eq!(
        scene.sent(),
        [
            "0 @1 created",
            "1 @1 created",
            "2 @1 created",
            "-1 @1 created canceled (mvcc: duplicate watch ID provided on the WatchStream)",
            "7 @1 created",
        ]
    );
}

#[test]
fn an_empty_range_and_a_negative_start_are_refused_in_the_created_response() {
    let mut scene = Scene::new(Limits::default());
    scene.create(WatchCreateRequest {
        range_end: b"a"[..].into(),
        key: b"b"[..].into(),
        ..all_keys()
    });
    scene.create(from(-1));
    scene.create(all_keys());
    assert_eq!(
        scene.sent(),
        [
            "-1 @1 created canceled (mvcc: watcher range is empty)",
            "-1 @1 created canceled (etcdserver: mvcc: required revision has been compacted)",
            "0 @1 created",
        ]
    );
}

#[test]
fn events_come_live_filtered_and_whole() {
    let mut scene = Scene::new(Limits::default());
    scene.create(all_keys());
    scene.create(WatchCreateRequest { filters: vec![0], ..all_keys() });
    scene.create(WatchCreateRequest { key: b"b"[..].into(), ..Default::default() });
    scene.write(&[(b'a', Some(vec![])), (b'b', Some(vec![]))]);
    scene.write(&[(b'a', None), (b'c', Some(vec![]))]);
    assert_eq!(
        scene.sent(),
        [
            "0 @1 created",
            "1 @1 created",
            "2 @1 created",
            "0 @3 a=2 b=2 a-3 c=3",
            "1 @3 a-3",
            "2 @3 b=2",
        ]
    );
}

/// A transaction may put a key and then delete all keys from there on. The previous value of the
/// deletion was said to be the one put a moment before; etcd reads it one revision before. The
/// client compares every previous value.
#[test]
fn a_deletion_in_the_revision_of_its_put_has_the_previous_value_of_the_revision_before() {
    for limits in [Limits::default(), cold_limits()] {
        let mut scene = Scene::new(limits);
        scene.create(WatchCreateRequest { prev_kv: true, ..all_keys() });
        scene.put(b'a', b"old");
        let new = || Some(b"new".to_vec());
        scene.write(&[(b'a', new()), (b'b', new()), (b'a', None), (b'b', None)]);
        scene.catch_up();
        assert_eq!(scene.sent(), ["0 @1 created", "0 @3 a=2 a=3 b=3 a-3 b-3"]);
        scene.create(WatchCreateRequest { prev_kv: true, ..from(3) });
        scene.catch_up();
        assert_eq!(scene.sent(), ["1 @3 created", "1 @3 a=3 b=3 a-3 b-3"]);
    }
}

#[test]
fn a_cancel_is_answered_and_an_unknown_one_is_not() {
    let mut scene = Scene::new(Limits::default());
    scene.create(all_keys());
    scene.put(b'a', b"");
    scene.hub.cancel(scene.client.stream, 5, scene.model.current);
    scene.hub.cancel(scene.client.stream, 0, scene.model.current);
    scene.put(b'a', b"");
    assert_eq!(scene.sent(), ["0 @1 created", "0 @2 a=2", "0 @2 canceled"]);
    assert!(scene.hub.is_idle());
}

#[test]
fn the_past_is_replayed_from_history_as_from_memory() {
    for limits in [Limits::default(), cold_limits()] {
        let mut scene = Scene::new(limits);
        for key in [b'a', b'b', b'a'] {
            scene.put(key, b"");
        }
        scene.create(WatchCreateRequest { prev_kv: true, ..from(3) });
        assert_eq!(scene.hub.counters().slow_watchers(), 1);
        scene.catch_up();
        assert_eq!(scene.hub.counters().slow_watchers(), 0);
        scene.put(b'c', b"");
        assert_eq!(scene.sent(), ["0 @4 created", "0 @5 b=3 a=4 c=5"]);
    }
}

/// etcd #20221: a bookmark below its start would send a client back to before it.
#[test]
fn a_watch_on_a_future_revision_gets_neither_events_nor_bookmarks_before_it() {
    let mut scene = Scene::new(Limits::default());
    scene.create(WatchCreateRequest { progress_notify: true, ..from(4) });
    scene.put(b'a', b"");
    scene.bookmark();
    scene.hub.tick(scene.client.stream);
    assert_eq!(scene.sent(), ["0 @1 created"]);
    scene.put(b'a', b"");
    scene.put(b'a', b"");
    assert_eq!(scene.sent(), ["0 @4 a=4", "-1 @4"]);
}

#[test]
fn a_compacted_start_is_created_and_then_canceled_without_a_revision() {
    let mut scene = Scene::new(Limits::default());
    for _ in 0..4 {
        scene.put(b'a', b"");
    }
    scene.model.compacted = 4;
    scene.create(from(3));
    scene.create(from(4));
    scene.catch_up();
    assert_eq!(
        scene.sent(),
        ["0 @5 created", "0 @0 canceled compacted=4", "1 @5 created", "1 @5 a=4 a=5"]
    );
}

/// etcd #18089, #19179: the deletion at the compacted revision itself is still history.
#[test]
fn a_delete_at_the_compacted_revision_is_replayed() {
    let mut scene = Scene::new(cold_limits());
    scene.put(b'a', b"");
    scene.write(&[(b'a', None)]);
    scene.model.compacted = 3;
    scene.create(from(3));
    scene.catch_up();
    assert_eq!(scene.sent(), ["0 @3 created", "0 @3 a-3"]);
}

/// The stream's outbox holds one small revision; the client does not read.
#[test]
fn a_slow_watcher_costs_no_memory_and_compaction_overtakes_it() {
    let tight = Limits { stream_bytes_max: 30, recent_bytes_max: 0, ..Limits::default() };
    let mut scene = Scene::new(tight);
    scene.create(all_keys());
    scene.sent();
    scene.put(b'a', b"");
    for _ in 0..1000 {
        scene.put(b'b', &[0; 100]);
        scene.catch_up();
    }
    let counters = scene.hub.counters().clone();
    assert_eq!((counters.slow_watchers(), counters.pending_events()), (1, 1));
    scene.model.compacted = 500;
    assert_eq!(scene.sent(), ["0 @2 a=2"]);
    scene.catch_up();
    assert_eq!(scene.sent(), ["0 @0 canceled compacted=500"]);
    assert_eq!((counters.slow_watchers(), counters.watchers()), (0, 0));
}

#[test]
fn a_watcher_far_behind_does_not_hold_up_one_that_blinked() {
    let limits = Limits { catch_up_revisions_max: 4, ..cold_limits() };
    let mut scene = Scene::new(limits);
    for _ in 0..100 {
        scene.put(b'a', b"");
    }
    scene.create(from(2));
    scene.create(from(100));
    for _ in 0..2 {
        let turn = scene.hub.plan(0).unwrap();
        let replay = turn.read(&scene.model).unwrap();
        scene.hub.replay(replay, 0);
    }
    assert_eq!(
        scene.sent(),
        ["0 @101 created", "1 @101 created", "0 @101 a=2 a=3 a=4 a=5", "1 @101 a=100 a=101"]
    );
    scene.catch_up();
    assert_eq!(scene.hub.counters().slow_watchers(), 0);
}

/// etcd #15220, #17507, #17529: the bookmark waits for the slowest watcher of the stream.
#[test]
fn a_bookmark_for_the_stream_waits_until_all_its_watchers_are_synced() {
    let mut scene = Scene::new(Limits::default());
    scene.put(b'a', b"");
    scene.create(from(2));
    scene.create(all_keys());
    scene.bookmark();
    scene.put(b'a', b"");
    assert_eq!(scene.sent(), ["0 @2 created", "1 @2 created", "1 @3 a=3"]);
    scene.catch_up();
    assert_eq!(scene.sent(), ["0 @3 a=2 a=3", "-1 @3"]);
}

#[test]
fn a_bookmark_asked_for_after_a_write_waits_until_the_hub_has_it() {
    let mut scene = Scene::new(Limits::default());
    scene.create(all_keys());
    let rows = scene.model.write(&[(b'a', Some(vec![]))], false);
    scene.bookmark();
    assert_eq!(scene.sent(), ["0 @1 created"]);
    scene.hub.feed(&rows);
    assert_eq!(scene.sent(), ["0 @2 a=2", "-1 @2"]);
}

#[test]
fn a_stream_without_watchers_gets_no_bookmark() {
    let mut scene = Scene::new(Limits::default());
    scene.bookmark();
    scene.create(all_keys());
    scene.put(b'a', b"");
    assert_eq!(scene.sent(), ["0 @1 created", "0 @2 a=2"]);
}

#[test]
fn progress_is_notified_only_after_a_quiet_interval() {
    let mut scene = Scene::new(Limits::default());
    scene.create(WatchCreateRequest { progress_notify: true, ..all_keys() });
    scene.create(all_keys());
    scene.hub.tick(scene.client.stream);
    assert_eq!(scene.sent(), ["0 @1 created", "1 @1 created", "0 @1"]);
    scene.put(b'a', b"");
    scene.hub.tick(scene.client.stream);
    assert_eq!(scene.sent(), ["0 @2 a=2", "1 @2 a=2"]);
    scene.hub.tick(scene.client.stream);
    assert_eq!(scene.sent(), ["0 @2"]);
}

#[test]
fn a_giant_revision_is_split_for_those_who_asked_for_fragments() {
    let limits = Limits { fragment_bytes_max: 100, response_bytes_max: 10, ..Limits::default() };
    let mut scene = Scene::new(limits);
    scene.create(WatchCreateRequest { fragment: true, ..all_keys() });
    scene.create(all_keys());
    let edits: Vec<Edit> = (b'a'..=b'd').map(|key| (key, Some(vec![0; 15]))).collect();
    scene.write(&edits);
    assert_eq!(
        scene.sent(),
        [
            "0 @1 created",
            "1 @1 created",
            "0 @2 + a=2",
            "0 @2 + b=2",
            "0 @2 + c=2",
            "0 @2 d=2",
            "1 @2 a=2 b=2 c=2 d=2",
        ]
    );
}

#[test]
fn revisions_share_responses_up_to_the_bound_and_none_is_torn() {
    let limits = Limits { response_bytes_max: 100, ..Limits::default() };
    let mut scene = Scene::new(limits);
    scene.create(all_keys());
    for _ in 0..3 {
        scene.write(&[(b'a', Some(vec![0; 10])), (b'b', Some(vec![0; 10]))]);
    }
    assert_eq!(scene.sent(), ["0 @1 created", "0 @3 a=2 b=2 a=3 b=3", "0 @4 a=4 b=4"]);
}

/// A snapshot replaces the store: what happened in between comes from history.
#[test]
fn after_a_snapshot_synced_watchers_go_on_from_where_they_were() {
    let mut scene = Scene::new(Limits::default());
    scene.create(all_keys());
    scene.create(from(6));
    scene.put(b'a', b"");
    for key in [b'b', b'c'] {
        scene.model.write(&[(key, Some(vec![]))], false);
    }
    scene.hub.resync(scene.model.current);
    scene.put(b'd', b"");
    scene.catch_up();
    scene.put(b'e', b"");
    assert_eq!(
        scene.sent(),
        ["0 @1 created", "1 @1 created", "0 @6 a=2 b=3 c=4 d=5 e=6", "1 @6 e=6"]
    );
}

#[test]
fn a_snapshot_that_no_longer_has_the_history_cancels_the_watcher() {
    let mut scene = Scene::new(Limits::default());
    scene.create(all_keys());
    for key in [b'b', b'c'] {
        scene.model.write(&[(key, Some(vec![]))], false);
    }
    scene.model.compacted = 3;
    scene.hub.resync(scene.model.current);
    scene.catch_up();
    assert_eq!(scene.sent(), ["0 @1 created", "0 @0 canceled compacted=3"]);
}
