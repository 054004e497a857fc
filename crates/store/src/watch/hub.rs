//! The hub: all streams, all watchers, and what clients ask of them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use api::etcdserverpb::{ResponseHeader, WatchCreateRequest, WatchResponse};

use super::Limits;
use super::counters::Counters;
use super::event::Event;
use super::matcher::Matcher;
use super::outbox::{Item, Outbox};
use super::recent::Recent;
use super::response::Delivery;
use super::slots::Slots;
use super::span::Span;
use super::watcher::{Progress, Watcher};

/// The watch id of answers that belong to no watcher: refusals and bookmarks for a whole stream.
const NO_WATCHER: i64 = -1;
const EMPTY_RANGE: &str = "mvcc: watcher range is empty";
const DUPLICATE_ID: &str = "mvcc: duplicate watch ID provided on the WatchStream";

/// A stream of the hub that hands it out; valid until [`Hub::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StreamId(pub(super) u32);

/// One client's stream.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) outbox: Arc<Outbox>,
    /// Put into the outbox at the end of the current operation.
    pub(super) staged: Vec<Item>,
    pub(super) staged_bytes: usize,
    /// Slots by watch id.
    watchers: HashMap<i64, u32>,
    next_watch_id: i64,
    /// How many of the watchers are not synced.
    pub(super) unsynced: usize,
    /// Those that wait for room.
    pub(super) parked: Vec<u32>,
    /// A bookmark for the whole stream was asked for when the store was at this revision.
    bookmark_wanted: Option<i64>,
    needs_leader: bool,
}

/// The id and the keys of a watcher to be, or why there will be none.
type Admission = Result<(i64, Span), String>;

impl Stream {
    /// The id a client asked for, or the next one if it left it to us (0); `None` if it is in use.
    fn assign_id(&mut self, asked: i64) -> Option<i64> {
        if asked != 0 {
            return (!self.watchers.contains_key(&asked)).then_some(asked);
        }
        while self.watchers.contains_key(&self.next_watch_id) {
            self.next_watch_id += 1;
        }
        self.next_watch_id += 1;
        Some(self.next_watch_id - 1)
    }
}

/// Matches applied rows with watchers; see the module's description.
#[derive(Debug)]
pub struct Hub {
    pub(super) limits: Limits,
    /// Last main revision that was offered to the synced watchers.
    pub(super) position: i64,
    pub(super) synced: Matcher,
    pub(super) unsynced: Matcher,
    pub(super) watchers: Slots<Watcher>,
    pub(super) streams: Slots<Stream>,
    /// Watchers ready to catch up, by the revision they need next.
    pub(super) ready: BTreeSet<(i64, u32)>,
    /// Catch-up turns planned so far.
    pub(super) turn: u64,
    /// Last main revision of the last turn.
    pub(super) turned_to: i64,
    pub(super) recent: Recent,
    /// Streams that wait for a bookmark.
    waiting: Vec<u32>,
    /// Streams with something staged.
    touched: Vec<u32>,
    /// Scratch for matching.
    pub(super) found: Vec<u32>,
    pub(super) counters: Arc<Counters>,
}

impl Hub {
    /// A hub without streams over a store at `position`.
    pub fn new(limits: Limits, position: i64) -> Self {
        Self {
            limits,
            position,
            synced: Matcher::default(),
            unsynced: Matcher::default(),
            watchers: Slots::default(),
            streams: Slots::default(),
            ready: BTreeSet::new(),
            turn: 0,
            turned_to: 0,
            recent: Recent::new(limits.recent_bytes_max, position + 1),
            waiting: Vec::new(),
            touched: Vec::new(),
            found: Vec::new(),
            counters: Arc::default(),
        }
    }

    /// The gauges and counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Last main revision that was fed.
    pub fn position(&self) -> i64 {
        self.position
    }

    /// Whether nobody watches, so that feeding can be skipped ([`Self::skip_to`]).
    pub fn is_idle(&self) -> bool {
        self.watchers.is_empty()
    }

    /// Opens a stream. One that `needs_leader` is ended by [`Self::leader_lost`].
    pub fn open(&mut self, needs_leader: bool) -> (StreamId, Delivery) {
        let outbox = Arc::new(Outbox::new(self.limits, self.counters.clone()));
        self.counters.streams.fetch_add(1, Ordering::Relaxed);
        let slot = self.streams.insert(Stream {
            outbox: outbox.clone(),
            staged: Vec::new(),
            staged_bytes: 0,
            watchers: HashMap::new(),
            next_watch_id: 0,
            unsynced: 0,
            parked: Vec::new(),
            bookmark_wanted: None,
            needs_leader,
        });
        (StreamId(slot), Delivery::new(outbox, self.limits))
    }

    /// Forgets a stream and its watchers.
    pub fn close(&mut self, stream: StreamId) {
        let slots: Vec<u32> = self.streams[stream.0].watchers.values().copied().collect();
        for slot in slots {
            self.remove(slot);
        }
        self.waiting.retain(|&waiting| waiting != stream.0);
        self.streams.remove(stream.0);
        self.counters.streams.fetch_sub(1, Ordering::Relaxed);
    }

    /// Answers a create request; `current` and `compacted` are the store's revisions now, and
    /// `current` becomes the revision of the answer.
    ///
    /// True when a watcher came into being. Otherwise the answer says why not: an id in use, an
    /// empty range, a negative start (answered as compacted).
    pub fn create(
        &mut self,
        stream: StreamId,
        request: &WatchCreateRequest,
        current: i64,
        compacted: i64,
    ) -> bool {
        let admitted = self.admit(stream, request);
        self.control(stream.0, created_answer(&admitted, current));
        let is_created = admitted.is_ok();
        if let Ok((watch_id, span)) = admitted {
            self.start(stream, watch_id, span, request, current.max(self.position), compacted);
        }
        self.publish();
        is_created
    }

    /// Ends a watcher with an answer; silent if there is none of this id.
    pub fn cancel(&mut self, stream: StreamId, watch_id: i64, current: i64) {
        let Some(&slot) = self.streams[stream.0].watchers.get(&watch_id) else { return };
        self.remove(slot);
        let answer = WatchResponse { watch_id, canceled: true, ..at_revision(current) };
        self.control(stream.0, answer);
        self.settle_bookmarks();
        self.publish();
    }

    /// Asks for one bookmark for all watchers of the stream, at `current` or later. It is sent as
    /// soon as all of them are synced, which may be now; a stream without watchers gets none.
    pub fn request_bookmark(&mut self, stream: StreamId, current: i64) {
        let wanted = &mut self.streams[stream.0].bookmark_wanted;
        if wanted.is_none() {
            self.waiting.push(stream.0);
        }
        *wanted = Some(wanted.unwrap_or(0).max(current));
        self.settle_bookmarks();
        self.publish();
    }

    /// The progress interval of the stream has passed: sends a bookmark for every watcher that
    /// wants them, is synced and was sent nothing since the previous tick.
    pub fn tick(&mut self, stream: StreamId) {
        let slots: Vec<u32> = self.streams[stream.0].watchers.values().copied().collect();
        for slot in slots {
            let position = self.position;
            let watcher = &mut self.watchers[slot];
            let due = watcher.progress_notify && std::mem::replace(&mut watcher.quiet, true);
            if due && watcher.allows_bookmark(position) {
                let watch_id = watcher.watch_id;
                self.control(stream.0, WatchResponse { watch_id, ..at_revision(position) });
            }
        }
        self.publish();
    }

    /// There has been no leader for too long: ends the streams that asked to be told.
    pub fn leader_lost(&mut self) {
        for (_, stream) in self.streams.iter().filter(|(_, stream)| stream.needs_leader) {
            stream.outbox.end(api::Error::NoLeader);
        }
    }

    /// Ends all streams because the member stops.
    pub fn stop(&mut self) {
        for (_, stream) in self.streams.iter() {
            stream.outbox.end(api::Error::Stopped);
        }
    }

    fn admit(&mut self, stream: StreamId, request: &WatchCreateRequest) -> Admission {
        if request.start_revision < 0 {
            return Err(api::Error::Compacted.text().to_owned());
        }
        let span = Span::from_request(&request.key, &request.range_end).ok_or(EMPTY_RANGE)?;
        let watch_id = self.streams[stream.0].assign_id(request.watch_id).ok_or(DUPLICATE_ID)?;
        Ok((watch_id, span))
    }

    fn start(
        &mut self,
        stream: StreamId,
        watch_id: i64,
        span: Span,
        request: &WatchCreateRequest,
        current: i64,
        compacted: i64,
    ) {
        let start = if request.start_revision == 0 { current + 1 } else { request.start_revision };
        if start < compacted {
            return self.control(stream.0, compacted_answer(watch_id, compacted));
        }
        let watcher = Watcher::new(stream.0, watch_id, span, start, request);
        let slot = self.watchers.insert(watcher);
        self.synced.insert(&self.watchers[slot].span, slot);
        self.streams[stream.0].watchers.insert(watch_id, slot);
        self.counters.watchers.fetch_add(1, Ordering::Relaxed);
        if start <= self.position {
            self.fall_behind(slot, start);
        }
    }

    /// Takes a watcher out wherever it is.
    fn remove(&mut self, slot: u32) {
        if self.watchers[slot].progress != Progress::Synced {
            self.join_synced(slot);
        }
        let watcher = self.watchers.remove(slot);
        self.synced.remove(&watcher.span, slot);
        self.streams[watcher.stream].watchers.remove(&watcher.watch_id);
        self.counters.watchers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Ends a watcher whose next revision is no longer there.
    pub(super) fn cancel_compacted(&mut self, slot: u32, compacted: i64) {
        let Watcher { stream, watch_id, .. } = self.watchers[slot];
        self.remove(slot);
        self.control(stream, compacted_answer(watch_id, compacted));
    }

    /// A synced watcher becomes unsynced: it has everything before `next`.
    pub(super) fn fall_behind(&mut self, slot: u32, next: i64) {
        let watcher = &mut self.watchers[slot];
        assert_eq!(watcher.progress, Progress::Synced, "falls behind once");
        watcher.progress = Progress::Ready { next, turn: self.turn };
        self.synced.remove(&watcher.span, slot);
        self.unsynced.insert(&watcher.span, slot);
        self.ready.insert((next, slot));
        self.streams[watcher.stream].unsynced += 1;
        self.counters.slow_watchers.fetch_add(1, Ordering::Relaxed);
    }

    /// An unsynced watcher has everything up to the position.
    pub(super) fn join_synced(&mut self, slot: u32) {
        let watcher = &mut self.watchers[slot];
        let stream = &mut self.streams[watcher.stream];
        match std::mem::replace(&mut watcher.progress, Progress::Synced) {
            Progress::Synced => unreachable!("joins after it fell behind"),
            Progress::Ready { next, .. } => {
                self.ready.remove(&(next, slot));
            }
            Progress::Parked(_) => stream.parked.retain(|&parked| parked != slot),
        }
        self.unsynced.remove(&watcher.span, slot);
        self.synced.insert(&watcher.span, slot);
        stream.unsynced -= 1;
        self.counters.slow_watchers.fetch_sub(1, Ordering::Relaxed);
    }

    /// Stages an event for a watcher.
    pub(super) fn give(&mut self, slot: u32, event: &Arc<Event>) {
        let watcher = &mut self.watchers[slot];
        watcher.last = event.revision().main;
        watcher.quiet = false;
        let (stream, watch_id, wish) = (watcher.stream, watcher.watch_id, watcher.wish);
        self.stage(stream, Item::Event { watch_id, event: event.clone(), wish });
    }

    /// Whether the watcher's stream takes another revision.
    pub(super) fn has_room(&self, slot: u32) -> bool {
        let stream = &self.streams[self.watchers[slot].stream];
        stream.outbox.has_room(stream.staged_bytes)
    }

    /// Sends the bookmarks that have become possible; see [`Self::request_bookmark`].
    pub(super) fn settle_bookmarks(&mut self) {
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.retain(|&stream| !self.settle_bookmark(stream));
        self.waiting = waiting;
    }

    /// Moves what was staged into the outboxes.
    pub(super) fn publish(&mut self) {
        for slot in self.touched.drain(..) {
            let stream = &mut self.streams[slot];
            stream.outbox.append(&mut stream.staged, stream.staged_bytes, self.position);
            stream.staged_bytes = 0;
        }
    }

    /// True when the request is done with.
    fn settle_bookmark(&mut self, slot: u32) -> bool {
        let stream = &self.streams[slot];
        let wanted = stream.bookmark_wanted.expect("only streams that wait are asked");
        let mut watchers = stream.watchers.values().map(|&slot| &self.watchers[slot]);
        if stream.unsynced > 0
            || self.position < wanted
            || !watchers.all(|watcher| watcher.allows_bookmark(self.position))
        {
            return false;
        }
        let watched = !stream.watchers.is_empty();
        self.streams[slot].bookmark_wanted = None;
        if watched {
            let answer = WatchResponse { watch_id: NO_WATCHER, ..at_revision(self.position) };
            self.control(slot, answer);
        }
        true
    }

    fn control(&mut self, stream: u32, response: WatchResponse) {
        self.stage(stream, Item::Control(Box::new(response)));
    }

    fn stage(&mut self, slot: u32, item: Item) {
        let stream = &mut self.streams[slot];
        if stream.staged.is_empty() {
            self.touched.push(slot);
        }
        stream.staged_bytes += item.cost();
        stream.staged.push(item);
    }
}

fn created_answer(admitted: &Admission, current: i64) -> WatchResponse {
    let answer = WatchResponse { created: true, ..at_revision(current) };
    match admitted {
        Ok((watch_id, _)) => WatchResponse { watch_id: *watch_id, ..answer },
        Err(reason) => WatchResponse {
            watch_id: NO_WATCHER,
            canceled: true,
            cancel_reason: reason.clone(),
            ..answer
        },
    }
}

fn at_revision(revision: i64) -> WatchResponse {
    let header = Some(ResponseHeader { revision, ..ResponseHeader::default() });
    WatchResponse { header, ..WatchResponse::default() }
}

/// A watcher that would need a revision that is gone: no reason, and revision 0 in the header
/// (etcd-surface 1.9).
fn compacted_answer(watch_id: i64, compact_revision: i64) -> WatchResponse {
    WatchResponse { watch_id, canceled: true, compact_revision, ..at_revision(0) }
}
