//! One watcher: what it asked for and how far it is.

use api::etcdserverpb::WatchCreateRequest;
use api::etcdserverpb::watch_create_request::FilterType;

use super::span::Span;
use crate::change::RowKind;

/// How far a watcher is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Fed directly: it has everything up to the hub's position.
    Synced,
    /// It has everything before `next` and takes part in the next catch-up turn.
    Ready {
        /// First main revision not yet offered to it.
        next: i64,
        /// Number of the last turn planned before it became ready: it joins later ones only.
        turn: u64,
    },
    /// It has everything before this revision and waits for room in its outbox.
    Parked(i64),
}

/// How events are written for a watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// With the version that was replaced.
    pub(super) previous: bool,
    /// Giant responses in pieces.
    pub(super) fragments: bool,
}

/// State of one watcher.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) stream: u32,
    pub(super) watch_id: i64,
    pub(super) span: Span,
    /// First main revision it wants.
    pub(super) start: i64,
    /// No bookmark before the hub's position has reached this: a lower one would send a client
    /// that resumes from it back before its own start (etcd #20221).
    pub(super) bookmark_from: i64,
    /// Last main revision of which it was given an event.
    pub(super) last: i64,
    pub(super) progress: Progress,
    pub(super) wish: Wish,
    no_put: bool,
    no_delete: bool,
    pub(super) progress_notify: bool,
    /// Nothing was sent since the last tick of the progress interval.
    pub(super) quiet: bool,
}

impl Watcher {
    /// A synced watcher as asked for, starting at `start`.
    pub(super) fn new(
        stream: u32,
        watch_id: i64,
        span: Span,
        start: i64,
        request: &WatchCreateRequest,
    ) -> Self {
        let filters = |filter: FilterType| request.filters.contains(&(filter as i32));
        Self {
            stream,
            watch_id,
            span,
            start,
            bookmark_from: if request.start_revision == 0 { start - 1 } else { start },
            last: 0,
            progress: Progress::Synced,
            wish: Wish { previous: request.prev_kv, fragments: request.fragment },
            no_put: filters(FilterType::Noput),
            no_delete: filters(FilterType::Nodelete),
            progress_notify: request.progress_notify,
            quiet: true,
        }
    }

    /// Whether its filters let such an event through.
    pub(super) fn accepts(&self, kind: RowKind) -> bool {
        match kind {
            RowKind::Put => !self.no_put,
            RowKind::Delete => !self.no_delete,
        }
    }

    /// Whether a bookmark at `position` would be true and useful.
    pub(super) fn allows_bookmark(&self, position: i64) -> bool {
        self.progress == Progress::Synced && position >= self.bookmark_from
    }
}
