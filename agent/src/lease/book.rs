//! The deadlines of all leases, while this member leads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use api::Error;
use parking_lot::Mutex;
use store::{Change, LeaseId, Lessor, SharedStore};
use tokio::sync::Notify;

/// [`Lessor`] with a clock and a bell.
pub struct LeaseBook {
    /// Held for map operations only, never across a wait.
    state: Mutex<State>,
    /// Rings when the first deadline may have become earlier, or the role changed.
    changed: Notify,
    started: Instant,
    granted_total: AtomicU64,
    revoked_total: AtomicU64,
    renewed_total: AtomicU64,
    expired_total: AtomicU64,
}

#[derive(Default)]
struct State {
    lessor: Lessor,
    /// The term in which this member leads and has taken the book over.
    leads_in: Option<u64>,
    /// Leases in the book.
    count: usize,
    /// No lease ends before this.
    wake_ms: Option<u64>,
}

/// With more leases than this the next deadline is not looked up: something is due all the time.
const LOOKED_UP_MAX: usize = 1000;

/// Time between two looks then, and before a revocation that was lost is tried again.
const LOOK_EVERY_MS: u64 = 500;

impl State {
    fn note(&mut self, deadline_ms: u64) {
        self.wake_ms = Some(self.wake_ms.map_or(deadline_ms, |wake| wake.min(deadline_ms)));
    }

    /// Nothing is due now: when will it be?
    fn look_ahead(&mut self, now_ms: u64) {
        self.wake_ms = match self.count {
            0 => None,
            1..=LOOKED_UP_MAX => {
                let first = self.lessor.sorted_by_expiry().first().copied();
                first
                    .and_then(|id| self.lessor.remaining_ms(id, now_ms))
                    .map(|left_ms| now_ms + if left_ms == 0 { LOOK_EVERY_MS } else { left_ms })
            }
            _ => Some(now_ms + LOOK_EVERY_MS),
        };
    }
}

/// What the book has counted since the process started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaseCounts {
    /// Leases granted.
    pub granted: u64,
    /// Leases revoked, expired ones included.
    pub revoked: u64,
    /// Keep-alives answered.
    pub renewed: u64,
    /// Leases this member found expired.
    pub expired: u64,
}

impl Default for LeaseBook {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            started: Instant::now(),
            granted_total: AtomicU64::new(0),
            revoked_total: AtomicU64::new(0),
            renewed_total: AtomicU64::new(0),
            expired_total: AtomicU64::new(0),
        }
    }
}

impl LeaseBook {
    /// This member leads now: every lease starts over with its full time to live and an election
    /// timeout on top, for nobody was there to take keep-alives.
    pub fn promote(&self, term: u64, store: &SharedStore, extend_ms: u64) {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        // Read under our lock: a change applied meanwhile is noted after this, not lost.
        let leases = store.read(|store| store.leases());
        state.count = leases.len();
        state.lessor.promote(now_ms, leases, extend_ms);
        state.leads_in = Some(term);
        state.look_ahead(now_ms);
        drop(state);
        self.changed.notify_one();
    }

    /// This member leads no longer.
    pub fn demote(&self) {
        let mut state = self.state.lock();
        *state = State::default();
    }

    /// Takes note of leases that were granted or removed by the log.
    pub fn applied(&self, changes: &[&Change]) {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        for change in changes {
            match change {
                Change::Lease { id, ttl_s } => {
                    self.granted_total.fetch_add(1, Relaxed);
                    if state.leads_in.is_some() {
                        state.lessor.granted(*id, *ttl_s, now_ms);
                        state.count += 1;
                        state.note(end_ms(*ttl_s, now_ms));
                    }
                }
                Change::LeaseRemoved(id) => {
                    self.revoked_total.fetch_add(1, Relaxed);
                    if state.lessor.remaining_ms(*id, now_ms).is_some() {
                        state.lessor.removed(*id);
                        state.count -= 1;
                    }
                }
                _ => {}
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// Gives leases their full time again; 0 in place of the time to live says that there is no
    /// such lease.
    ///
    /// # Errors
    /// `NotPrimaryLessor` when this member does not lead.
    pub fn renew(&self, ids: impl Iterator<Item = LeaseId>) -> Result<Vec<i64>, Error> {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        if state.leads_in.is_none() {
            return Err(Error::NotPrimaryLessor);
        }
        let ttls: Vec<i64> =
            ids.map(|id| state.lessor.renew(id, now_ms).unwrap_or_default()).collect();
        self.renewed_total.fetch_add(ttls.len() as u64, Relaxed);
        Ok(ttls)
    }

    /// Whether this member leads and keeps the deadlines.
    pub fn leads(&self) -> bool {
        self.state.lock().leads_in.is_some()
    }

    /// What a lease has left, milliseconds; `None` when the book does not know it.
    ///
    /// # Errors
    /// `NotPrimaryLessor` when this member does not lead.
    pub fn remaining_ms(&self, id: LeaseId) -> Result<Option<u64>, Error> {
        let now_ms = self.now_ms();
        let state = self.state.lock();
        if state.leads_in.is_none() {
            return Err(Error::NotPrimaryLessor);
        }
        Ok(state.lessor.remaining_ms(id, now_ms))
    }

    /// Every lease, the one that expires first before the others.
    ///
    /// # Errors
    /// `NotPrimaryLessor` when this member does not lead.
    pub fn by_expiry(&self) -> Result<Vec<LeaseId>, Error> {
        let state = self.state.lock();
        if state.leads_in.is_none() {
            return Err(Error::NotPrimaryLessor);
        }
        Ok(state.lessor.sorted_by_expiry())
    }

    /// Leases whose time is up, at most `max`, and the term in which this member may say so.
    pub(super) fn take_expired(&self, max: usize) -> Option<(u64, Vec<LeaseId>)> {
        let now_ms = self.now_ms();
        let mut state = self.state.lock();
        let term = state.leads_in?;
        let expired = state.lessor.expired(now_ms, max);
        if expired.is_empty() {
            state.look_ahead(now_ms);
        }
        self.expired_total.fetch_add(expired.len() as u64, Relaxed);
        (!expired.is_empty()).then_some((term, expired))
    }

    /// Waits for the next deadline; without one, for a lease.
    pub(super) async fn next_deadline(&self) {
        loop {
            let changed = self.changed.notified();
            let deadline_ms = {
                let state = self.state.lock();
                state.leads_in.and(state.wake_ms)
            };
            let Some(deadline_ms) = deadline_ms else {
                changed.await;
                continue;
            };
            let left = Duration::from_millis(deadline_ms.saturating_sub(self.now_ms()));
            tokio::select! {
                () = tokio::time::sleep(left) => return,
                () = changed => {}
            }
        }
    }

    /// The counters.
    pub fn counts(&self) -> LeaseCounts {
        LeaseCounts {
            granted: self.granted_total.load(Relaxed),
            revoked: self.revoked_total.load(Relaxed),
            renewed: self.renewed_total.load(Relaxed),
            expired: self.expired_total.load(Relaxed),
        }
    }

    /// Milliseconds on a clock that never goes back.
    fn now_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }
}

fn end_ms(ttl_s: i64, now_ms: u64) -> u64 {
    now_ms.saturating_add(u64::try_from(ttl_s).unwrap_or(0).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: LeaseId = LeaseId(1);
    const B: LeaseId = LeaseId(2);

    fn leading() -> LeaseBook {
        let book = LeaseBook::default();
        let store = SharedStore::new(store::Store::new(Default::default()), NoHistory::shared());
        book.promote(7, &store, 1000);
        book
    }

    struct NoHistory;

    impl NoHistory {
        fn shared() -> std::sync::Arc<dyn store::History> {
            std::sync::Arc::new(Self)
        }
    }

    impl store::History for NoHistory {
        fn load(&self, revision: store::Revision) -> Result<store::Record, store::HistoryError> {
            Err(store::HistoryError::Missing(revision))
        }

        fn scan(
            &self,
            _: i64,
            _: i64,
            _: &mut dyn FnMut(
                store::Revision,
                store::RowKind,
                store::Record,
            ) -> std::ops::ControlFlow<()>,
        ) -> Result<(), store::HistoryError> {
            Ok(())
        }
    }

    fn granted(id: LeaseId, ttl_s: i64) -> Change {
        Change::Lease { id, ttl_s }
    }

    #[tokio::test(start_paused = true)]
    async fn without_leases_nothing_wakes_the_task() {
        let book = leading();
        let hour = Duration::from_secs(3600);
        assert!(tokio::time::timeout(hour, book.next_deadline()).await.is_err());
        book.applied(&[&granted(A, 5), &Change::LeaseRemoved(A)]);
        // The noted deadline is looked at once more, then there is nothing.
        book.next_deadline().await;
        assert_eq!(book.take_expired(10), None);
        assert!(tokio::time::timeout(hour, book.next_deadline()).await.is_err());
    }

    #[test]
    fn a_grant_may_bring_the_next_deadline_forward_and_a_removal_ends_it() {
        let book = leading();
        book.applied(&[&granted(A, 60)]);
        let late = book.state.lock().wake_ms.expect("a deadline");
        book.applied(&[&granted(B, 5)]);
        let early = book.state.lock().wake_ms.expect("a deadline");
        assert!(early + 50_000 < late, "{early} {late}");
        book.applied(&[&Change::LeaseRemoved(A), &Change::LeaseRemoved(B)]);
        assert_eq!(book.take_expired(10), None);
        assert_eq!(book.state.lock().wake_ms, None);
    }

    #[test]
    fn only_the_leader_answers() {
        let book = leading();
        book.applied(&[&granted(A, 60)]);
        assert_eq!(book.renew([A, B].into_iter()), Ok(vec![60, 0]));
        assert!(book.remaining_ms(A).expect("leads").is_some());
        book.demote();
        assert_eq!(book.renew([A].into_iter()), Err(Error::NotPrimaryLessor));
        assert_eq!(book.remaining_ms(A), Err(Error::NotPrimaryLessor));
        assert_eq!(book.by_expiry(), Err(Error::NotPrimaryLessor));
        assert_eq!(book.take_expired(10), None);
    }
}
