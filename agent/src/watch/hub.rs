//! The hub task: moves applied rows from the inbox to the watchers and lets the late ones catch up.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use store::watch::{CatchUp, Counters, Delivery, Limits, Replay, StreamId};
use store::{Change, HistoryError, Row};

use api::etcdserverpb::WatchCreateRequest;

use super::inbox::Inbox;
use super::source::WatchSource;

/// Revisions offered under one hold of the lock; with a thousand watchers of each, a few
/// milliseconds.
const REVISIONS_PER_HOLD: i64 = 64;

/// A stream that asked to be told is ended after this many election timeouts without a leader
/// (etcd's interceptor).
const ELECTION_TIMEOUTS_MAX: u32 = 3;

/// The operator's choices that matter for watching.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Bounds of outboxes and responses.
    pub limits: Limits,
    /// How often an idle watcher that asked for it is told the revision; at least 100 ms.
    pub progress_interval: Duration,
    /// The election timeout.
    pub election_timeout: Duration,
    /// Bytes one request message may have.
    pub request_bytes_max: usize,
}

/// Everybody who watches, behind one lock; see [`store::watch::Hub`].
#[derive(Debug)]
pub struct Hub {
    inbox: Inbox,
    /// Held by the hub task while it offers a slice of rows and by streams for one request. Taken
    /// before the inbox's lock when both are needed.
    state: Mutex<store::watch::Hub>,
    counters: Arc<Counters>,
    options: Options,
}

impl Hub {
    /// A hub nobody watches yet.
    pub fn new(options: Options) -> Self {
        let state = store::watch::Hub::new(options.limits, 0);
        let counters = state.counters().clone();
        Self { inbox: Inbox::default(), state: Mutex::new(state), counters, options }
    }

    /// The gauges and counters of watching.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The operator's choices.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// Commands were applied: hands their rows to the hub task. Called in log order on the apply
    /// task, with all rows of a revision in one call, after history can return them; never waits.
    pub fn applied(&self, changes: &[Change], current_revision: i64) {
        self.inbox.push(changes, current_revision);
    }

    /// The store was replaced by a snapshot at `current_revision`, or opened there: watchers read
    /// what they did not see from history.
    pub fn replaced(&self, current_revision: i64) {
        self.inbox.skip(current_revision);
    }

    /// Ends all streams and the hub task, because the member stops.
    pub fn stop(&self) {
        self.state.lock().stop();
        self.inbox.stop();
    }

    /// The hub task; ends after [`Self::stop`] or when history cannot be read.
    pub async fn run(self: Arc<Self>, source: Arc<dyn WatchSource>) {
        tokio::select! {
            result = self.serve(&source) => {
                if let Err(error) = result {
                    source.history_failed(&error);
                }
            }
            () = self.follow_leadership(source.as_ref()) => {}
        }
    }

    pub(super) fn open(&self, needs_leader: bool) -> (StreamId, Delivery) {
        self.state.lock().open(needs_leader)
    }

    pub(super) fn close(&self, stream: StreamId) {
        let mut state = self.state.lock();
        state.close(stream);
        self.unwatch_if_idle(&state);
    }

    pub(super) fn create(
        &self,
        stream: StreamId,
        request: &WatchCreateRequest,
        source: &dyn WatchSource,
    ) -> bool {
        let mut state = self.state.lock();
        if let Some(skipped) = self.inbox.watch() {
            state.skip_to(skipped);
        }
        let current = source.header().revision;
        let created = state.create(stream, request, current, source.past().compact_revision());
        self.unwatch_if_idle(&state);
        drop(state);
        // It may start in the past.
        self.inbox.bell.notify_one();
        created
    }

    pub(super) fn cancel(&self, stream: StreamId, watch_id: i64, source: &dyn WatchSource) {
        let mut state = self.state.lock();
        state.cancel(stream, watch_id, source.header().revision);
        self.unwatch_if_idle(&state);
    }

    pub(super) fn request_bookmark(&self, stream: StreamId, source: &dyn WatchSource) {
        let mut state = self.state.lock();
        // Rows applied before somebody watched are covered by `create`; all others pass the hub.
        state.request_bookmark(stream, source.header().revision);
    }

    pub(super) fn tick(&self, stream: StreamId) {
        self.state.lock().tick(stream);
    }

    pub(super) fn resume(&self, stream: StreamId) {
        self.state.lock().resume(stream);
        self.inbox.bell.notify_one();
    }

    fn unwatch_if_idle(&self, state: &store::watch::Hub) {
        if state.is_idle() {
            self.inbox.unwatch();
        }
    }

    async fn serve(&self, source: &Arc<dyn WatchSource>) -> Result<(), HistoryError> {
        loop {
            let applied = self.inbox.take();
            if applied.stopped {
                return Ok(());
            }
            let mut busy = !applied.rows.is_empty();
            if let Some(current) = applied.lost_up_to {
                self.state.lock().resync(current);
            }
            for rows in slices(&applied.rows) {
                self.state.lock().feed(rows);
            }
            busy |= self.catch_up(source).await?;
            if busy {
                // The connections that were woken want the thread too.
                tokio::task::yield_now().await;
            } else {
                self.inbox.bell.notified().await;
            }
        }
    }

    /// One turn; false when nobody can go on.
    async fn catch_up(&self, source: &Arc<dyn WatchSource>) -> Result<bool, HistoryError> {
        let compacted = source.past().compact_revision();
        let Some(turn) = self.state.lock().plan(compacted) else { return Ok(false) };
        let replay = read(turn, source).await?;
        let compacted = source.past().compact_revision();
        self.state.lock().replay(replay, compacted);
        Ok(true)
    }

    /// Ends the streams that need a leader whenever there has been none for too long.
    async fn follow_leadership(&self, source: &dyn WatchSource) {
        let grace = self.options.election_timeout * ELECTION_TIMEOUTS_MAX;
        loop {
            wait_for(source, false).await;
            while tokio::time::timeout(grace, wait_for(source, true)).await.is_err() {
                self.state.lock().leader_lost();
            }
        }
    }
}

async fn wait_for(source: &dyn WatchSource, leader: bool) {
    loop {
        let changed = source.leadership_changed();
        if source.has_leader() == leader {
            return;
        }
        changed.await;
    }
}

async fn read(turn: CatchUp, source: &Arc<dyn WatchSource>) -> Result<Replay, HistoryError> {
    if !turn.blocks() {
        return turn.read(source.past());
    }
    let source = source.clone();
    let reading = tokio::task::spawn_blocking(move || turn.read(source.past()));
    reading.await.unwrap_or_else(|error| Err(HistoryError::Io(error.to_string())))
}

/// Parts rows into pieces of whole revisions.
fn slices(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    let number = |row: &Row| row.revision.main / REVISIONS_PER_HOLD;
    rows.chunk_by(move |a, b| number(a) == number(b))
}
