//! How a range reaches the store: directly, or through the lock in turns.

use std::cell::RefCell;

use api::Error;

use super::Stop;
use crate::history::{History, HistoryError};
use crate::ids::Revision;
use crate::pins::Pin;
use crate::read_error::ReadError;
use crate::record::Record;
use crate::shared::SharedStore;
use crate::store::Store;

/// Access to the store for one range, which may have to let go of it in between.
pub(crate) trait View {
    /// Looks at the store, then lets go of it.
    fn with<T>(&self, look: impl FnOnce(&Store) -> T) -> T;

    /// Keeps what can be seen at `main` from being removed until the view is dropped. Called while
    /// looking.
    fn pin(&self, main: i64) -> Result<(), Stop>;

    /// Whether what was pinned is still there. Called while looking.
    fn check(&self) -> Result<(), Stop>;

    /// A row that is not in memory. Never called while looking through a lock.
    fn load(&self, revision: Revision) -> Result<Record, Stop>;

    /// Most rows this view is for.
    fn rows_max(&self) -> u64;
}

/// The store itself, under a lock held all along. Without a history it is for quick reads.
pub(crate) struct Direct<'a> {
    store: &'a Store,
    history: Option<&'a dyn History>,
    rows_max: usize,
}

impl<'a> Direct<'a> {
    pub fn new(store: &'a Store, history: Option<&'a dyn History>, rows_max: usize) -> Self {
        Self { store, history, rows_max }
    }
}

impl View for Direct<'_> {
    fn with<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        look(self.store)
    }

    fn pin(&self, _main: i64) -> Result<(), Stop> {
        Ok(())
    }

    fn check(&self) -> Result<(), Stop> {
        Ok(())
    }

    fn load(&self, revision: Revision) -> Result<Record, Stop> {
        let history = self.history.ok_or(Stop::NotQuick)?;
        Ok(history.load(revision)?)
    }

    fn rows_max(&self) -> u64 {
        self.rows_max as u64
    }
}

/// The store behind its lock; what is read is pinned between the turns.
pub(crate) struct Shared<'a> {
    shared: &'a SharedStore,
    pin: RefCell<Option<Pin>>,
}

impl<'a> Shared<'a> {
    pub fn new(shared: &'a SharedStore, pin: Option<Pin>) -> Self {
        Self { shared, pin: RefCell::new(pin) }
    }

    /// Takes the pin out, for a range that goes on later.
    pub fn into_pin(self) -> Option<Pin> {
        self.pin.into_inner()
    }
}

impl View for Shared<'_> {
    fn with<T>(&self, look: impl FnOnce(&Store) -> T) -> T {
        self.shared.read(look)
    }

    fn pin(&self, main: i64) -> Result<(), Stop> {
        let mut pin = self.pin.borrow_mut();
        if pin.is_none() {
            *pin = Some(self.shared.pins().pin(main).ok_or(Error::TooManyRequests)?);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), Stop> {
        match &*self.pin.borrow() {
            Some(pin) if !pin.holds() => Err(Error::Compacted.into()),
            _ => Ok(()),
        }
    }

    fn load(&self, revision: Revision) -> Result<Record, Stop> {
        match self.shared.history().load(revision) {
            Ok(record) => Ok(record),
            // The row may have been removed because the pin had become too old to be respected;
            // then it is the reader that was too slow, not the database that is damaged.
            Err(HistoryError::Missing(_)) if self.check().is_err() => Err(Error::Compacted.into()),
            Err(error) => Err(Stop::Failed(ReadError::History(error))),
        }
    }

    fn rows_max(&self) -> u64 {
        u64::MAX
    }
}
