//! Revisions that readers are still reading.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

/// Most readers at a time that need more than one hold of the lock.
const PINS_MAX: usize = 10_000;

/// Compactions a pin outlives. A reader that lets more go by has stopped reading; it must not keep
/// rows for ever.
const COMPACTIONS_MAX: u64 = 2;

/// The revisions in use. A mutex beside the store's lock: taken for a moment, by readers that hold
/// the shared lock and by compaction that holds the exclusive one.
#[derive(Default)]
pub(crate) struct Pins(Mutex<Book>);

#[derive(Default)]
struct Book {
    /// Main revision and a running number -> the compactions there had been.
    pinned: BTreeMap<(i64, u64), u64>,
    next: u64,
    compactions: u64,
}

/// A revision kept readable as long as this lives and is not too old.
pub(crate) struct Pin {
    pins: Arc<Pins>,
    key: (i64, u64),
}

impl Pins {
    /// Pins a revision; `None` when too many readers do.
    pub fn pin(self: &Arc<Self>, main: i64) -> Option<Pin> {
        let mut book = self.0.lock();
        if book.pinned.len() >= PINS_MAX {
            return None;
        }
        let key = (main, book.next);
        book.next += 1;
        let compactions = book.compactions;
        book.pinned.insert(key, compactions);
        Some(Pin { pins: self.clone(), key })
    }

    /// History was given up; pins that have seen too many of this are void.
    pub fn compacted(&self) {
        let mut book = self.0.lock();
        book.compactions += 1;
        let oldest = book.compactions.saturating_sub(COMPACTIONS_MAX);
        book.pinned.retain(|_, taken| *taken >= oldest);
    }

    /// The store was exchanged; no pin means anything any more.
    pub fn void_all(&self) {
        self.0.lock().pinned.clear();
    }

    /// The lowest revision in use.
    pub fn lowest(&self) -> Option<i64> {
        self.0.lock().pinned.keys().next().map(|(main, _)| *main)
    }
}

impl Pin {
    /// Whether the revision is still kept.
    pub fn holds(&self) -> bool {
        self.pins.0.lock().pinned.contains_key(&self.key)
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.pins.0.lock().pinned.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_holds_until_dropped_or_too_old() {
        let pins = Arc::new(Pins::default());
        let (old, new) = (pins.pin(3).expect("room"), pins.pin(5).expect("room"));
        assert_eq!(pins.lowest(), Some(3));
        drop(old);
        assert_eq!(pins.lowest(), Some(5));
        pins.compacted();
        pins.compacted();
        assert!(new.holds());
        pins.compacted();
        assert!(!new.holds());
        assert_eq!(pins.lowest(), None);
    }

    #[test]
    fn there_is_a_limit_to_pins() {
        let pins = Arc::new(Pins::default());
        let held: Vec<_> = (0..PINS_MAX).map(|_| pins.pin(1).expect("room")).collect();
        assert!(pins.pin(1).is_none());
        drop(held);
        assert!(pins.pin(1).is_some());
    }
}
