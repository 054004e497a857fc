//! A client that believes nothing: it reads what its stream is sent and checks every promise.

use std::collections::HashMap;
use std::task::{Context, Waker};

use api::etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchResponse};
use api::mvccpb::Event;
use prost::Message;

use super::model::{Model, proto_event};
use crate::change::{Row, RowKind};
use crate::watch::span::Span;
use crate::watch::{Delivery, Hub, Limits, StreamId};

/// What the client knows of one of its watchers.
#[derive(Debug)]
pub(super) struct Watched {
    request: WatchCreateRequest,
    /// It has seen everything up to this revision.
    pub(super) cursor: i64,
    /// Pieces of a response that is not complete.
    pieces: Vec<Event>,
}

/// One stream with its watchers.
pub(super) struct Client {
    pub(super) stream: StreamId,
    delivery: Delivery,
    /// Create requests not yet answered.
    asked: std::collections::VecDeque<WatchCreateRequest>,
    pub(super) watched: HashMap<i64, Watched>,
    /// Revisions of the bookmarks for the whole stream.
    pub(super) bookmarks: Vec<i64>,
    pub(super) responses: Vec<WatchResponse>,
    limits: Limits,
}

const HEADER: ResponseHeader =
    ResponseHeader { cluster_id: 7, member_id: 8, revision: 0, raft_term: 9 };

impl Client {
    pub(super) fn open(hub: &mut Hub) -> Self {
        let (stream, delivery) = hub.open(false);
        Self {
            stream,
            delivery,
            asked: Default::default(),
            watched: HashMap::new(),
            bookmarks: Vec::new(),
            responses: Vec::new(),
            limits: hub.limits,
        }
    }

    pub(super) fn create(&mut self, hub: &mut Hub, model: &Model, request: WatchCreateRequest) {
        hub.create(self.stream, &request, model.current, model.compacted);
        self.asked.push_back(request);
    }

    /// Reads about `bytes` and checks what came. False when there was nothing.
    pub(super) fn read(&mut self, hub: &mut Hub, model: &Model, bytes: usize) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        if self.delivery.poll_ready(&mut cx).is_pending() {
            return false;
        }
        let mut out = Vec::new();
        if self.delivery.encode(&HEADER, bytes, &mut out).made_room {
            hub.resume(self.stream);
        }
        for response in split(&out) {
            self.check(model, response);
        }
        true
    }

    fn check(&mut self, model: &Model, response: WatchResponse) {
        let header = response.header.unwrap();
        assert_eq!((header.cluster_id, header.member_id, header.raft_term), (7, 8, 9));
        assert!(header.revision <= model.current);
        self.responses.push(response.clone());
        if response.created {
            self.check_created(response);
        } else if response.canceled {
            self.check_canceled(model, &response);
        } else if response.events.is_empty() {
            self.check_bookmark(model, &response);
        } else {
            self.check_events(model, response);
        }
    }

    fn check_created(&mut self, response: WatchResponse) {
        let request = self.asked.pop_front().expect("answers come in the order of requests");
        if response.canceled {
            assert_eq!(response.watch_id, -1);
            assert!(!response.cancel_reason.is_empty());
            return;
        }
        let current = response.header.unwrap().revision;
        let cursor = if request.start_revision == 0 { current } else { request.start_revision - 1 };
        let watched = Watched { request, cursor, pieces: Vec::new() };
        let before = self.watched.insert(response.watch_id, watched);
        assert!(before.is_none(), "an id in use was given again");
    }

    fn check_canceled(&mut self, model: &Model, response: &WatchResponse) {
        let watched = self.watched.remove(&response.watch_id).expect("an answer for a watcher");
        assert!(watched.pieces.is_empty());
        if response.compact_revision != 0 {
            assert_eq!(response.header.unwrap().revision, 0);
            assert!(response.compact_revision <= model.compacted);
            assert!(watched.cursor + 1 < response.compact_revision);
        }
    }

    fn check_bookmark(&mut self, model: &Model, response: &WatchResponse) {
        let revision = response.header.unwrap().revision;
        let whole_stream = response.watch_id == -1;
        if whole_stream {
            self.bookmarks.push(revision);
        }
        for (_, watched) in
            self.watched.iter().filter(|(id, _)| whole_stream || **id == response.watch_id)
        {
            assert!(whole_stream || watched.request.progress_notify);
            assert!(revision >= watched.cursor, "a bookmark from before what was seen");
            assert_eq!(watched.missed(model, revision), Vec::<i64>::new(), "bookmark too early");
        }
    }

    fn check_events(&mut self, model: &Model, response: WatchResponse) {
        let limits = self.limits;
        let watched = self.watched.get_mut(&response.watch_id).expect("events of a watcher");
        let events: usize = response.events.iter().map(Message::encoded_len).sum();
        if watched.request.fragment {
            let fits = events <= limits.fragment_bytes_max || response.events.len() == 1;
            assert!(fits, "{events} bytes in one piece");
        } else {
            assert!(!response.fragment, "nobody asked for fragments");
        }
        watched.pieces.extend(response.events);
        if !response.fragment {
            let header = response.header.unwrap().revision;
            watched.take_events(model, header);
        }
    }
}

impl Watched {
    /// Checks the events of a complete response against the model.
    fn take_events(&mut self, model: &Model, header: i64) {
        let events = std::mem::take(&mut self.pieces);
        let last = events.last().unwrap().kv.as_ref().unwrap().mod_revision;
        assert!(last <= header, "the header is behind the events");
        let expected: Vec<&Row> = self.rows(model, last).collect();
        assert_eq!(events.len(), expected.len(), "lost, repeated or torn: {events:?}");
        for (event, row) in events.into_iter().zip(expected) {
            let mut expected = proto_event(model, row);
            let compacted = row.revision.main - 1 < model.compacted;
            if !self.request.prev_kv || (compacted && event.prev_kv.is_none()) {
                expected.prev_kv = None;
            }
            assert_eq!(event, expected);
        }
        self.cursor = last;
    }

    /// Revisions up to `to` that it should have seen and has not.
    pub(super) fn missed(&self, model: &Model, to: i64) -> Vec<i64> {
        self.rows(model, to).map(|row| row.revision.main).collect()
    }

    pub(super) fn bookmark_from(&self) -> i64 {
        self.request.start_revision
    }

    fn rows<'a>(&'a self, model: &'a Model, to: i64) -> impl Iterator<Item = &'a Row> {
        let span = Span::from_request(&self.request.key, &self.request.range_end).unwrap();
        model.rows.iter().filter(move |row| {
            let filter = i32::from(row.kind == RowKind::Delete);
            self.cursor < row.revision.main
                && row.revision.main <= to
                && span.contains(row.record.view().key)
                && !self.request.filters.contains(&filter)
        })
    }
}

/// The messages of a stream of gRPC frames.
fn split(mut bytes: &[u8]) -> Vec<WatchResponse> {
    let mut responses = Vec::new();
    while !bytes.is_empty() {
        assert_eq!(bytes[0], 0, "not compressed");
        let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap()) as usize;
        responses.push(WatchResponse::decode(&bytes[5..5 + length]).unwrap());
        bytes = &bytes[5 + length..];
    }
    responses
}
