//! From a key to the watchers that want it.

use std::collections::HashMap;

use bytes::Bytes;

use super::interval_tree::IntervalTree;
use super::span::Span;

/// Watchers by what they watch: single keys in a hash map, ranges in a tree.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    keys: HashMap<Bytes, Vec<u32>>,
    ranges: IntervalTree,
}

impl Matcher {
    /// Adds a watcher.
    pub(super) fn insert(&mut self, span: &Span, watcher: u32) {
        match span {
            Span::Key(key) => self.keys.entry(key.clone()).or_default().push(watcher),
            Span::Range(start, end) => self.ranges.insert(start, end, watcher),
        }
    }

    /// Takes out a watcher that was inserted with the same span.
    pub(super) fn remove(&mut self, span: &Span, watcher: u32) {
        match span {
            Span::Key(key) => self.remove_key(key, watcher),
            Span::Range(start, end) => self.ranges.remove(start, end, watcher),
        }
    }

    /// Replaces `found` by the watchers of `key`, each once.
    pub(super) fn matching(&self, key: &[u8], found: &mut Vec<u32>) {
        found.clear();
        if let Some(watchers) = self.keys.get(key) {
            found.extend_from_slice(watchers);
        }
        self.ranges.containing(key, found);
    }

    fn remove_key(&mut self, key: &Bytes, watcher: u32) {
        let watchers = self.keys.get_mut(key).expect("removed for the key it was inserted for");
        let at = watchers.iter().position(|&w| w == watcher).expect("inserted once, removed once");
        watchers.swap_remove(at);
        if watchers.is_empty() {
            self.keys.remove(key);
        }
    }
}
