//! The store behind its lock: one writer, many readers, nobody for long.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::response_op::Response;
use api::etcdserverpb::{
    RangeRequest, RequestOp, ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use bytes::Bytes;
use parking_lot::RwLock;

use crate::apply::Outcome;
use crate::change::Change;
use crate::command::{Command, Op};
use crate::hash::HashKv;
use crate::history::{History, HistoryError};
use crate::ids::MemberId;
use crate::pins::Pins;
use crate::range::{self, Direct, RangeChunks, Shared, Stop, View};
use crate::read_error::ReadError;
use crate::store::Store;
use crate::txn::{Path, branch};

/// A [`Store`] that one task changes and everybody reads.
pub struct SharedStore {
    store: RwLock<Store>,
    history: Arc<dyn History>,
    pins: Arc<Pins>,
    /// Copies of the store's own numbers, written under the exclusive lock, so that asking for
    /// them waits for nobody.
    current: AtomicI64,
    compacted: AtomicI64,
}

impl SharedStore {
    /// Puts a store behind a lock, together with where its older versions are found.
    pub fn new(store: Store, history: Arc<dyn History>) -> Self {
        Self {
            current: AtomicI64::new(store.current),
            compacted: AtomicI64::new(store.compacted),
            store: RwLock::new(store),
            history,
            pins: Arc::default(),
        }
    }

    /// Applies commands in log order under one exclusive lock. One outcome per command is appended
    /// to `outcomes`; what the commands changed is appended to `changes`, in order.
    ///
    /// The rows in `changes` must be with the history before the next call: until then the store
    /// keeps them in memory, afterwards it may ask for them.
    ///
    /// # Errors
    /// When a version that is not in memory cannot be loaded. The state is then half changed and
    /// the member must end.
    pub fn apply(
        &self,
        commands: &[Command],
        outcomes: &mut Vec<Outcome>,
        changes: &mut Vec<Change>,
    ) -> Result<(), HistoryError> {
        let mut store = self.store.write();
        store.begin_slice();
        for command in commands {
            let outcome = store.apply(command, &*self.history, changes)?;
            if matches!((&outcome, command.op()), (Ok(_), Op::Compact(_))) {
                self.pins.compacted();
            }
            outcomes.push(outcome);
        }
        self.publish(&store);
        Ok(())
    }

    fn publish(&self, store: &Store) {
        self.current.store(store.current, Ordering::Release);
        self.compacted.store(store.compacted, Ordering::Release);
    }

    /// The membership changed: what members other than `keep` have published is forgotten.
    pub fn members_retain(&self, keep: &[MemberId], changes: &mut Vec<Change>) {
        self.store.write().members_retain(keep, changes);
    }

    /// Main revision of the last transaction that changed something; takes no lock.
    pub fn current_revision(&self) -> i64 {
        self.current.load(Ordering::Acquire)
    }

    /// Reads below this main revision are refused; -1 before the first compaction; takes no lock.
    pub fn compact_revision(&self) -> i64 {
        self.compacted.load(Ordering::Acquire)
    }

    /// Looks at the store under the shared lock; keep it short.
    pub fn read<R>(&self, look: impl FnOnce(&Store) -> R) -> R {
        look(&self.store.read())
    }

    /// Answers a Range, encoded. The revision in the header is the store's; its other fields are
    /// taken from `header`. Long ranges let go of the lock in between and still see one revision.
    /// May wait for the history: not for an asynchronous thread.
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`, `Corrupt`; `TooManyRequests` when thousands of long ranges
    /// are under way; and when the history fails.
    pub fn range(
        &self,
        request: &RangeRequest,
        header: &ResponseHeader,
    ) -> Result<Bytes, ReadError> {
        range::respond(&Shared::new(self, None), request, header).map_err(Stop::into_error)
    }

    /// As [`Self::range`], at once and without waiting for anything but the lock. `None` when that
    /// takes more than `rows_max` rows or a row that is not in memory: then `range` is for it.
    ///
    /// # Errors
    /// As [`Self::range`].
    pub fn range_quick(
        &self,
        request: &RangeRequest,
        header: &ResponseHeader,
        rows_max: usize,
    ) -> Result<Option<Bytes>, ReadError> {
        let store = self.store.read();
        match range::respond(&Direct::new(&store, None, rows_max), request, header) {
            Ok(encoded) => Ok(Some(encoded)),
            Err(Stop::NotQuick) => Ok(None),
            Err(Stop::Failed(error)) => Err(error),
        }
    }

    /// Answers a RangeStream: messages of about `chunk_bytes_max` bytes, all of one revision.
    ///
    /// # Errors
    /// As [`Self::range`]; `Unimplemented` with a sort order or revision bounds.
    pub fn range_stream(
        self: &Arc<Self>,
        request: RangeRequest,
        header: ResponseHeader,
        chunk_bytes_max: usize,
    ) -> Result<RangeChunks, ReadError> {
        RangeChunks::start(self, &request, header, chunk_bytes_max)
    }

    /// Answers a transaction that has only ranges, at one revision. May wait for the history.
    ///
    /// # Errors
    /// As [`Self::range`]; `Internal` when the branch taken is not only ranges: such a transaction
    /// belongs into the log.
    pub fn txn_read_only(
        &self,
        request: &TxnRequest,
        header: &ResponseHeader,
    ) -> Result<TxnResponse, ReadError> {
        let view = Shared::new(self, None);
        let (now, succeeded) = view
            .with(|store| {
                store.alarms.check_read()?;
                let mut path = Path::new();
                store.choose(request, &*self.history, &mut path)?;
                let mut lowest = store.current;
                for range in ranges(branch(request, path[0])) {
                    store.check_range_in_txn(range)?;
                    if range.revision > 0 {
                        lowest = lowest.min(range.revision);
                    }
                }
                view.pin(lowest)?;
                Ok((store.current, path[0]))
            })
            .map_err(Stop::into_error)?;
        let responses = branch(request, succeeded)
            .iter()
            .map(|op| self.respond_at(&view, op.request.as_ref(), now))
            .collect::<Result<_, _>>()?;
        let header = ResponseHeader { revision: now, ..*header };
        Ok(TxnResponse { header: Some(header), succeeded, responses })
    }

    fn respond_at(
        &self,
        view: &Shared<'_>,
        op: Option<&Request>,
        now: i64,
    ) -> Result<ResponseOp, ReadError> {
        let Some(Request::RequestRange(range)) = op else {
            let text = "a transaction with writes was given to the read path".to_owned();
            return Err(api::Error::Internal(text).into());
        };
        let main = if range.revision > 0 { range.revision } else { now };
        let response = range::response_at(view, range, main, now)?;
        Ok(ResponseOp { response: Some(Response::ResponseRange(response)) })
    }

    /// One step of physical compaction: forgets at most `rows_max` rows that compaction gave up
    /// and names them in `changes`, for the database to remove. `false`: nothing is left to do now.
    /// Called where `apply` is called, so that the removal reaches the database after the rows.
    pub fn compact_step(&self, rows_max: usize, changes: &mut Vec<Change>) -> bool {
        let mut store = self.store.write();
        // Under the exclusive lock: no reader can pin between this question and the removal.
        let lowest_pin = self.pins.lowest();
        store.compact_step(lowest_pin, rows_max, changes)
    }

    /// The hash over everything readable at `revision`, 0 for now. Scans the history.
    ///
    /// # Errors
    /// `Compacted`, `FutureRevision`; and when the history fails.
    pub fn hash_kv(&self, revision: i64) -> Result<HashKv, ReadError> {
        crate::hash::hash_kv(self, revision)
    }

    /// A snapshot was installed: its state takes the place of this one. Ranges under way fail with
    /// `Compacted`.
    pub fn replace(&self, store: Store) {
        let mut current = self.store.write();
        *current = store;
        self.pins.void_all();
        self.publish(&current);
    }

    pub(crate) fn pins(&self) -> &Arc<Pins> {
        &self.pins
    }

    pub(crate) fn history(&self) -> &dyn History {
        &*self.history
    }
}

fn ranges(ops: &[RequestOp]) -> impl Iterator<Item = &RangeRequest> {
    ops.iter().filter_map(|op| match &op.request {
        Some(Request::RequestRange(range)) => Some(range),
        _ => None,
    })
}
