//! From what waits in an outbox to bytes on the wire.

use std::sync::Arc;
use std::task::{Context, Poll};

use api::etcdserverpb::{ResponseHeader, WatchResponse};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, message};

use super::Limits;
use super::event::Event;
use super::outbox::{Item, Outbox};

/// gRPC's prefix of a message: one byte "not compressed", four bytes length, big-endian.
const PREFIX_BYTES: usize = 5;
/// Room for header, watch id and flags of one response.
const RESPONSE_OVERHEAD_BYTES: usize = 64;

const TAG_HEADER: u32 = 1;
const TAG_WATCH_ID: u32 = 2;
const TAG_FRAGMENT: u32 = 7;

/// The writing end of a stream: takes from its outbox, coalesces per watcher, encodes.
///
/// Dropping it gives back what it still holds.
#[derive(Debug)]
pub struct Delivery {
    outbox: Arc<Outbox>,
    limits: Limits,
    items: std::vec::IntoIter<Item>,
    /// Cost of the items.
    bytes: usize,
    position: i64,
}

/// What a call of [`Delivery::encode`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// A watcher waits for the room that was just made: call [`super::Hub::resume`].
    pub made_room: bool,
}

impl Delivery {
    /// The writing end of `outbox`.
    pub(super) fn new(outbox: Arc<Outbox>, limits: Limits) -> Self {
        Self { outbox, limits, items: Vec::new().into_iter(), bytes: 0, position: 0 }
    }

    /// Ready when there is something to encode.
    ///
    /// # Errors
    /// The one the stream must end with.
    pub fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), api::Error>> {
        if !self.items.as_slice().is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.outbox.poll_take(cx).map_ok(|mut taken| {
            group_by_watcher(&mut taken.items);
            self.bytes = taken.bytes;
            self.position = taken.position;
            self.items = taken.items.into_iter();
        })
    }

    /// Appends whole gRPC messages (length-prefixed `WatchResponse`s) to `out` until nothing is
    /// left or `out` holds `bytes_goal`; the last message may exceed it by its own length, which is
    /// bounded by [`Limits::response_bytes_max`] or one revision. The revision of `header` is
    /// ignored.
    pub fn encode(
        &mut self,
        header: &ResponseHeader,
        bytes_goal: usize,
        out: &mut Vec<u8>,
    ) -> Encoded {
        let (mut items, mut bytes) = (0, 0);
        out.reserve(self.size_hint().min(bytes_goal));
        while out.len() < bytes_goal {
            let Some(written) = self.encode_next(header, out) else { break };
            items += written;
            bytes += self.items.by_ref().take(written).map(|item| item.cost()).sum::<usize>();
        }
        self.bytes -= bytes;
        Encoded { made_room: self.outbox.release(items, bytes) }
    }

    /// Bytes that what is left will have on the wire, at most.
    fn size_hint(&self) -> usize {
        self.bytes + self.items.len() * (PREFIX_BYTES + RESPONSE_OVERHEAD_BYTES)
    }

    /// Writes the response the next items make and says how many they were.
    fn encode_next(&self, header: &ResponseHeader, out: &mut Vec<u8>) -> Option<usize> {
        let items = self.items.as_slice();
        match items.first()? {
            Item::Control(response) => {
                encode_control(header, response, out);
                Some(1)
            }
            Item::Event { .. } => Some(self.encode_events(header, items, out)),
        }
    }

    fn encode_events(&self, header: &ResponseHeader, items: &[Item], out: &mut Vec<u8>) -> usize {
        let run = Run::start_of(items, self.limits.response_bytes_max);
        let events = &items[..run.items];
        let revision = if run.more { run.last_revision } else { self.position };
        let header = ResponseHeader { revision, ..*header };
        if run.fragments && run.bytes > self.limits.fragment_bytes_max {
            self.encode_fragments(&header, run.watch_id, events, out);
        } else {
            out.reserve(PREFIX_BYTES + RESPONSE_OVERHEAD_BYTES + run.bytes);
            encode_response(&header, run.watch_id, false, events, out);
        }
        self.outbox.count_sent(run.items);
        run.items
    }

    fn encode_fragments(
        &self,
        header: &ResponseHeader,
        watch_id: i64,
        mut events: &[Item],
        out: &mut Vec<u8>,
    ) {
        while !events.is_empty() {
            let count = fitting(events, self.limits.fragment_bytes_max - RESPONSE_OVERHEAD_BYTES);
            let (piece, rest) = events.split_at(count);
            encode_response(header, watch_id, !rest.is_empty(), piece, out);
            events = rest;
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        self.outbox.release(self.items.len(), self.bytes);
    }
}

/// The events at the start of a queue that share a response.
struct Run {
    watch_id: i64,
    fragments: bool,
    items: usize,
    bytes: usize,
    last_revision: i64,
    /// The same watcher has more behind them.
    more: bool,
}

impl Run {
    /// Takes events of the first one's watcher, whole revisions only, up to `bytes_max` (at least
    /// one revision).
    fn start_of(items: &[Item], bytes_max: usize) -> Self {
        let Some(Item::Event { watch_id, wish, .. }) = items.first() else {
            unreachable!("called for a queue that begins with an event");
        };
        let mut run = Self {
            watch_id: *watch_id,
            fragments: wish.fragments,
            items: 0,
            bytes: 0,
            last_revision: 0,
            more: false,
        };
        let (mut end, mut bytes, mut revision) = (0, 0, 0);
        for item in items {
            let Some((event, previous)) = run.own(item) else { break };
            if event.revision().main != revision {
                run.close(end, bytes, revision);
                revision = event.revision().main;
            }
            bytes += event.field_len(previous);
            if bytes > bytes_max && run.items > 0 {
                run.more = true;
                return run;
            }
            end += 1;
        }
        run.close(end, bytes, revision);
        run
    }

    fn close(&mut self, items: usize, bytes: usize, revision: i64) {
        self.items = items;
        self.bytes = bytes;
        self.last_revision = revision;
    }

    fn own<'a>(&self, item: &'a Item) -> Option<(&'a Event, bool)> {
        match item {
            Item::Event { watch_id, event, wish } if *watch_id == self.watch_id => {
                Some((event, wish.previous))
            }
            _ => None,
        }
    }
}

/// Brings the events of each watcher together, in order; nothing moves across a control response.
fn group_by_watcher(items: &mut [Item]) {
    for events in items.split_mut(|item| matches!(item, Item::Control(_))) {
        events.sort_by_key(|item| match item {
            Item::Event { watch_id, .. } => *watch_id,
            Item::Control(_) => unreachable!("the slice was split at these"),
        });
    }
}

/// How many of the events fit into `bytes_max`, at least one.
fn fitting(events: &[Item], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let count = events.iter().take_while(|item| {
        if let Item::Event { event, wish, .. } = item {
            bytes += event.field_len(wish.previous);
        }
        bytes <= bytes_max
    });
    count.count().max(1)
}

fn encode_response(
    header: &ResponseHeader,
    watch_id: i64,
    fragment: bool,
    events: &[Item],
    out: &mut Vec<u8>,
) {
    framed(out, |out| {
        message::encode(TAG_HEADER, header, out);
        put_varint(TAG_WATCH_ID, watch_id as u64, out);
        put_varint(TAG_FRAGMENT, u64::from(fragment), out);
        for item in events {
            if let Item::Event { event, wish, .. } = item {
                event.encode_field(wish.previous, out);
            }
        }
    });
}

fn encode_control(header: &ResponseHeader, response: &WatchResponse, out: &mut Vec<u8>) {
    let revision = response.header.map_or(0, |header| header.revision);
    let header = Some(ResponseHeader { revision, ..*header });
    let response = WatchResponse { header, ..response.clone() };
    framed(out, |out| response.encode_raw(out));
}

/// Writes gRPC's prefix, the message and, when its length is known, the length.
fn framed(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX_BYTES]);
    write(out);
    let length = u32::try_from(out.len() - start - PREFIX_BYTES)
        .expect("a revision is far below the 4 GiB a gRPC message may have");
    out[start + 1..start + PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
}

fn put_varint(tag: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value, out);
    }
}
