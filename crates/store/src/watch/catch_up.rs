//! How unsynced watchers get what they missed: in turns, each planned and concluded under the
//! hub's lock and read from history outside of it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::event::Event;
use super::hub::{Hub, StreamId};
use super::span::Span;
use super::watcher::Progress;
use crate::change::RowKind;
use crate::history::HistoryError;
use crate::ids::Revision;
use crate::record::Record;

/// Ranges of watchers that want previous versions above which a turn reads those of all events.
const SPANS_MAX: usize = 64;

/// Events times watchers one turn considers, so that the hub's lock is held for a few milliseconds
/// at most; the turn ends with the revision that exceeds it.
const OFFERS_MAX: usize = 1 << 16;

/// The store's past, as far as watchers need it. Calls may block on I/O.
pub trait Past: Send + Sync {
    /// History below this main revision was given up.
    fn compact_revision(&self) -> i64;

    /// The record of one row; `None` when compaction removed it.
    ///
    /// # Errors
    /// When it cannot be read.
    fn load(&self, revision: Revision) -> Result<Option<Record>, HistoryError>;

    /// What `key` held at main revision `at`; `None` when it did not exist or when `at` is
    /// compacted.
    ///
    /// # Errors
    /// When it cannot be read.
    fn version_at(&self, key: &[u8], at: i64) -> Result<Option<Record>, HistoryError>;

    /// As [`crate::History::scan`]: the rows with `from <= main <= to`, in order.
    ///
    /// # Errors
    /// When a row cannot be read.
    fn scan(
        &self,
        from: i64,
        to: i64,
        visit: &mut dyn FnMut(Revision, RowKind, Record) -> ControlFlow<()>,
    ) -> Result<(), HistoryError>;
}

/// What one turn has to read.
#[derive(Debug)]
pub struct CatchUp {
    turn: u64,
    from: i64,
    to: i64,
    bytes_max: usize,
    /// The events, if they were still in memory.
    recent: Option<Vec<Arc<Event>>>,
    previous: PreviousWanted,
}

/// What one turn has read.
#[derive(Debug)]
pub struct Replay {
    turn: u64,
    from: i64,
    /// Last main revision that was read completely.
    reached: i64,
    events: Vec<Arc<Event>>,
}

/// Which events need their previous version.
#[derive(Debug)]
enum PreviousWanted {
    Of(Vec<Span>),
    All,
}

impl Hub {
    /// Plans the next turn; `compacted` is the store's compact revision now. `None` when nobody
    /// can go on: all watchers are synced or wait for room. At most one turn is under way.
    pub fn plan(&mut self, compacted: i64) -> Option<CatchUp> {
        self.cancel_behind(compacted);
        // Turns go round: those the last one has just served wait for those further on, so that a
        // watcher with all of history before it does not hold up one that blinked.
        let beyond = self.turned_to + 2;
        let from = self.first_with_room(beyond).or_else(|| self.first_with_room(0));
        self.settle_bookmarks();
        self.publish();
        let from = from?;
        let to = (from + self.limits.catch_up_revisions_max - 1).min(self.position);
        let previous = self.previous_wanted(from, to);
        self.turn += 1;
        self.turned_to = to;
        Some(CatchUp {
            turn: self.turn,
            from,
            to,
            bytes_max: self.limits.catch_up_bytes_max,
            recent: self.recent.between(from, to),
            previous,
        })
    }

    /// Hands out what a turn has read; `compacted` is the store's compact revision after it.
    pub fn replay(&mut self, mut replay: Replay, compacted: i64) {
        assert_eq!(replay.turn, self.turn, "one turn at a time");
        self.cancel_behind(compacted);
        let events = std::mem::take(&mut replay.events);
        let mut offers_left = OFFERS_MAX;
        for revision in events.chunk_by(|a, b| a.revision().main == b.revision().main) {
            let offers = self.replay_revision(revision, &replay);
            offers_left = offers_left.saturating_sub(offers);
            if offers_left == 0 {
                replay.reached = revision[0].revision().main;
                break;
            }
        }
        self.advance(&replay);
        self.settle_bookmarks();
        self.publish();
    }

    /// The stream has room again ([`super::Encoded::made_room`]): its watchers go on.
    pub fn resume(&mut self, stream: StreamId) {
        for slot in std::mem::take(&mut self.streams[stream.0].parked) {
            let watcher = &mut self.watchers[slot];
            let Progress::Parked(next) = watcher.progress else {
                unreachable!("the list holds parked watchers");
            };
            watcher.progress = Progress::Ready { next, turn: self.turn };
            self.ready.insert((next, slot));
        }
    }

    fn cancel_behind(&mut self, compacted: i64) {
        while let Some(&(_, slot)) = self.ready.first().filter(|(next, _)| *next < compacted) {
            self.cancel_compacted(slot, compacted);
        }
    }

    /// The earliest revision from `at_least` on that a watcher with room needs; parks those before
    /// it.
    fn first_with_room(&mut self, at_least: i64) -> Option<i64> {
        while let Some(&(next, slot)) = self.ready.range((at_least, 0)..).next() {
            if self.has_room(slot) || !self.park(slot, next) {
                return Some(next);
            }
        }
        None
    }

    /// Makes a watcher wait for room; false when there is some after all.
    fn park(&mut self, slot: u32, next: i64) -> bool {
        let watcher = &mut self.watchers[slot];
        let stream = &mut self.streams[watcher.stream];
        if !stream.outbox.starve() {
            return false;
        }
        watcher.progress = Progress::Parked(next);
        stream.parked.push(slot);
        self.ready.remove(&(next, slot));
        true
    }

    fn previous_wanted(&self, from: i64, to: i64) -> PreviousWanted {
        let mut spans = Vec::new();
        for &(_, slot) in self.ready.range((from, 0)..=(to, u32::MAX)) {
            let watcher = &self.watchers[slot];
            if !watcher.wish.previous || spans.contains(&watcher.span) {
                continue;
            }
            if spans.len() == SPANS_MAX {
                return PreviousWanted::All;
            }
            spans.push(watcher.span.clone());
        }
        PreviousWanted::Of(spans)
    }

    /// Says how many watchers were considered.
    fn replay_revision(&mut self, events: &[Arc<Event>], replay: &Replay) -> usize {
        let mut found = std::mem::take(&mut self.found);
        let mut offers = 0;
        for event in events {
            self.unsynced.matching(event.record().view().key, &mut found);
            found.sort_unstable();
            offers += found.len();
            for &slot in &found {
                self.replay_to(slot, event, replay);
            }
        }
        self.found = found;
        offers
    }

    fn replay_to(&mut self, slot: u32, event: &Arc<Event>, replay: &Replay) {
        let main = event.revision().main;
        let watcher = &self.watchers[slot];
        let Some(next) = replay.next_of(watcher.progress).filter(|next| *next <= main) else {
            return;
        };
        if !watcher.accepts(event.kind()) {
            return;
        }
        if watcher.last != main && !self.has_room(slot) {
            // It goes on from here in a later turn; being of this turn, it is left alone now.
            self.set_next(slot, next, main);
        } else {
            self.give(slot, event);
        }
    }

    /// Moves everyone the turn has served behind it.
    fn advance(&mut self, replay: &Replay) {
        let range = (replay.from, 0)..=(replay.reached, u32::MAX);
        let slots: Vec<u32> = self.ready.range(range).map(|&(_, slot)| slot).collect();
        for slot in slots {
            let Some(next) = replay.next_of(self.watchers[slot].progress) else { continue };
            if replay.reached >= self.position {
                self.join_synced(slot);
            } else {
                self.set_next(slot, next, replay.reached + 1);
            }
        }
    }

    fn set_next(&mut self, slot: u32, old: i64, next: i64) {
        self.ready.remove(&(old, slot));
        self.ready.insert((next, slot));
        self.watchers[slot].progress = Progress::Ready { next, turn: self.turn };
    }
}

impl Replay {
    /// What a watcher needs next, if it is served by this turn: it was ready when the turn was
    /// planned (so its wishes were considered), has not been stopped in it, and nothing between
    /// its next revision and the first one read is missing.
    fn next_of(&self, progress: Progress) -> Option<i64> {
        match progress {
            Progress::Ready { next, turn } if turn < self.turn => {
                (self.from <= next && next <= self.reached).then_some(next)
            }
            _ => None,
        }
    }
}

impl CatchUp {
    /// Whether [`Self::read`] will wait for I/O, so that it belongs on a blocking thread.
    pub fn blocks(&self) -> bool {
        let unknown = |event: &Arc<Event>| {
            !event.knows_previous() && self.previous.includes(event.record().view().key)
        };
        self.recent.as_ref().is_none_or(|events| events.iter().any(unknown))
    }

    /// Reads what the turn needs. Blocks on I/O unless the events were in memory.
    ///
    /// # Errors
    /// When history cannot be read, which is fatal for the member.
    pub fn read(self, past: &dyn Past) -> Result<Replay, HistoryError> {
        let (events, reached) = match self.recent {
            Some(events) => (events, self.to),
            None => scan(past, self.from, self.to, self.bytes_max)?,
        };
        resolve_previous(past, &events, &self.previous)?;
        Ok(Replay { turn: self.turn, from: self.from, reached, events })
    }
}

/// Reads whole revisions until there are `bytes_max`, and says which was the last.
fn scan(
    past: &dyn Past,
    from: i64,
    to: i64,
    bytes_max: usize,
) -> Result<(Vec<Arc<Event>>, i64), HistoryError> {
    let (mut events, mut bytes, mut reached) = (Vec::<Arc<Event>>::new(), 0, to);
    past.scan(from, to, &mut |revision, kind, record| {
        let last = events.last().map_or(revision.main, |event| event.revision().main);
        if bytes >= bytes_max && revision.main != last {
            reached = last;
            return ControlFlow::Break(());
        }
        bytes += record.memory_bytes();
        events.push(Arc::new(Event::from_history(revision, kind, record)));
        ControlFlow::Continue(())
    })?;
    Ok((events, reached))
}

fn resolve_previous(
    past: &dyn Past,
    events: &[Arc<Event>],
    wanted: &PreviousWanted,
) -> Result<(), HistoryError> {
    if matches!(wanted, PreviousWanted::Of(spans) if spans.is_empty()) {
        return Ok(());
    }
    // Read after the scan: a version that compaction may have removed meanwhile is not reported.
    let compacted = past.compact_revision();
    let mut latest: HashMap<&[u8], &Event> = HashMap::new();
    for event in events {
        let key = event.record().view().key;
        if wanted.includes(key) {
            let seen = latest.insert(key, event);
            if !event.knows_previous() {
                event.set_previous(previous_of(past, event, seen, compacted)?);
            }
        }
    }
    Ok(())
}

/// The version an event replaced. etcd reads the key at the revision before, so there is none when
/// that revision is compacted.
fn previous_of(
    past: &dyn Past,
    event: &Event,
    seen: Option<&Event>,
    compacted: i64,
) -> Result<Option<Record>, HistoryError> {
    let before = event.revision().main - 1;
    let view = event.record().view();
    let created = event.kind() == RowKind::Put && view.create_revision == view.mod_revision;
    if created || before < compacted {
        return Ok(None);
    }
    // One seen in the same revision says nothing about the revision before.
    let seen = seen.filter(|seen| seen.revision().main <= before);
    match (seen, event.cold_previous()) {
        (Some(seen), _) => Ok((seen.kind() == RowKind::Put).then(|| seen.record().clone())),
        (None, Some(revision)) => past.load(revision),
        (None, None) => past.version_at(view.key, before),
    }
}

impl PreviousWanted {
    fn includes(&self, key: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Of(spans) => spans.iter().any(|span| span.contains(key)),
        }
    }
}
