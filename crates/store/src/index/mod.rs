//! The ordered index of all keys: where every version is found, and the newest ones themselves as
//! far as the memory budget goes.
//!
//! Two levels: an ordered map of leaves, each a short sorted run of keys with totals. A count walks
//! leaves instead of keys; a range copies records that lie beside each other.

mod bounds;
mod entry;
mod leaf;

use std::collections::BTreeMap;
use std::ops::Bound;

pub(crate) use bounds::Bounds;
pub(crate) use entry::{At, Entry, NewVersion, Replaced};
use leaf::{LEAF_KEYS_MAX, Leaf};

use crate::ids::Revision;

/// All keys. A leaf stands under a key that is not greater than any of its own and greater than
/// all of the leaf before; the first leaf stands under the empty key and is always there.
pub(crate) struct Index {
    leaves: BTreeMap<Box<[u8]>, Leaf>,
    live: u64,
    hot_bytes: u64,
    /// The leaf the eviction hand passed last; `None` before a new turn.
    hand: Option<Box<[u8]>>,
}

/// Where a walk in steps goes on.
pub(crate) struct TrimCursor(Box<[u8]>);

impl TrimCursor {
    pub fn start() -> Self {
        Self(Box::default())
    }
}

/// Leaves looked at in one step of trimming, so that a step is short even when nothing is found.
const TRIM_LEAVES_MAX: usize = 512;

/// Leaves the eviction hand passes in one go while memory is not far above its limit.
const EVICT_LEAVES_MAX: usize = 256;

/// A leaf with fewer keys than this joins the one before it when both fit into half a leaf.
const LEAF_KEYS_MIN: usize = LEAF_KEYS_MAX / 4;

impl Index {
    pub fn new() -> Self {
        let leaves = BTreeMap::from([(Box::default(), Leaf::default())]);
        Self { leaves, live: 0, hot_bytes: 0, hand: None }
    }

    /// Keys that exist now.
    pub fn live(&self) -> u64 {
        self.live
    }

    /// Memory held by records, bytes.
    pub fn hot_bytes(&self) -> u64 {
        self.hot_bytes
    }

    /// Bytes of a record on average, as far as memory tells.
    pub fn mean_record_bytes(&self) -> u64 {
        self.hot_bytes.checked_div(self.live).unwrap_or(0)
    }

    pub fn get(&self, key: &[u8]) -> Option<&Entry> {
        let leaf = self.leaf(key);
        leaf.position(key).ok().map(|position| &leaf.entries()[position])
    }

    fn leaf(&self, key: &[u8]) -> &Leaf {
        let (_, leaf) = self
            .leaves
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
            .expect("the first leaf stands under the empty key");
        leaf
    }

    /// Makes a version the newest of `key`; `make` sees the entry as it was, if there is one.
    /// Returns the live version that was replaced.
    pub fn set(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&Entry>) -> NewVersion,
    ) -> Option<Replaced> {
        let (_, leaf) = self
            .leaves
            .range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key)))
            .next_back()
            .expect("the first leaf stands under the empty key");
        let live_before = leaf.live();
        let mut added_bytes = 0;
        let outcome = leaf.set(key, |entry| {
            let new = make(entry);
            added_bytes = if new.version == 0 { 0 } else { new.record.memory_bytes() };
            new
        });
        self.live = self.live + u64::from(leaf.live()) - u64::from(live_before);
        if let Some(position) = outcome.split_at {
            let right = leaf.split_off(position);
            self.leaves.insert(right.entries()[0].key().into(), right);
        }
        let replaced_bytes = outcome
            .replaced
            .as_ref()
            .and_then(|replaced| replaced.record.as_ref())
            .map_or(0, |record| record.memory_bytes());
        self.hot_bytes = self.hot_bytes + added_bytes as u64 - replaced_bytes as u64;
        outcome.replaced
    }

    /// The entries of `bounds` in order of key, deleted ones included.
    pub fn entries<'a>(&'a self, bounds: &'a Bounds) -> impl Iterator<Item = &'a Entry> + 'a {
        self.slices(bounds).flat_map(|(entries, _)| entries)
    }

    /// Runs of entries, each with its leaf when it is the whole of it.
    fn slices<'a>(
        &'a self,
        bounds: &'a Bounds,
    ) -> impl Iterator<Item = (&'a [Entry], Option<&'a Leaf>)> + 'a {
        self.leaves_from(bounds)
            .take_while(move |(key, leaf)| {
                // The separator may lie before the start; the leaf's first key tells.
                key.as_ref() <= bounds.start.as_ref()
                    || !leaf.entries().first().is_some_and(|first| bounds.ends_before(first.key()))
            })
            .map(move |(key, leaf)| clip(key, leaf, bounds))
    }

    fn leaves_from<'a>(
        &'a self,
        bounds: &Bounds,
    ) -> impl Iterator<Item = (&'a Box<[u8]>, &'a Leaf)> + 'a + use<'a> {
        let first = self
            .leaves
            .range::<[u8], _>((Bound::Unbounded, Bound::Included(bounds.start.as_ref())))
            .next_back()
            .map(|(key, _)| key)
            .expect("the first leaf stands under the empty key");
        let empty = bounds.is_empty();
        self.leaves.range::<[u8], _>((Bound::Included(first.as_ref()), Bound::Unbounded)).take(
            // An empty range must not look at its start: the end lies before it.
            if empty { 0 } else { usize::MAX },
        )
    }

    /// Keys of `bounds` that existed once transaction `main` had been applied. Costs a step per
    /// leaf that has not changed since, a step per key for the others.
    pub fn count(&self, bounds: &Bounds, main: i64) -> u64 {
        let mut count = 0;
        for (entries, whole) in self.slices(bounds) {
            count += match whole {
                Some(leaf) if leaf.newest() <= main => u64::from(leaf.live()),
                _ => entries.iter().filter(|entry| entry.at(main) != At::Absent).count() as u64,
            };
        }
        count
    }

    /// Removes rows that compaction at `main` does not leave, at most `rows_max`, going on where
    /// the cursor stands. Returns whether the end was reached.
    pub fn trim(
        &mut self,
        cursor: &mut TrimCursor,
        main: i64,
        rows_max: usize,
        removed: &mut Vec<Revision>,
    ) -> bool {
        for _ in 0..TRIM_LEAVES_MAX {
            let start: &[u8] = &cursor.0;
            let (key, leaf) = self
                .leaves
                .range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(start)))
                .next_back()
                .expect("the first leaf stands under the empty key");
            let key = key.clone();
            if leaf.spare_rows() > 0 {
                let position = leaf.position(start).unwrap_or_else(|position| position);
                if let Some(stopped) = leaf.trim(position, main, rows_max, removed) {
                    cursor.0 = leaf.entries()[stopped].key().into();
                    return false;
                }
            }
            let next = self
                .leaves
                .range::<[u8], _>((Bound::Excluded(key.as_ref()), Bound::Unbounded))
                .next()
                .map(|(next, _)| next.clone());
            self.join_small(&key);
            match next {
                Some(next) => cursor.0 = next,
                None => return true,
            }
            if removed.len() >= rows_max {
                return false;
            }
        }
        false
    }

    /// Gives a leaf that has become small to the one before it.
    fn join_small(&mut self, key: &[u8]) {
        if key.is_empty() || self.leaves[key].entries().len() >= LEAF_KEYS_MIN {
            return;
        }
        let keys = self.leaves[key].entries().len();
        let (before, left) = self
            .leaves
            .range::<[u8], _>((Bound::Unbounded, Bound::Excluded(key)))
            .next_back()
            .expect("only the first leaf has none before it");
        if keys > 0 && left.entries().len() + keys > LEAF_KEYS_MAX / 2 {
            return;
        }
        let before = before.clone();
        let right = self.leaves.remove(key).expect("looked up above");
        self.leaves.get_mut(&before).expect("looked up above").absorb(right);
    }

    /// Drops records, those not read since the hand last passed first, until at most `bytes_max`
    /// are held. Slightly above the limit it takes a bounded number of leaves, so that nobody waits
    /// for a whole turn of the hand; further above, two turns at most: after one turn nothing
    /// counts as read any more.
    pub fn evict(&mut self, bytes_max: u64) {
        let slightly = self.hot_bytes <= bytes_max.saturating_add(bytes_max / 8);
        let turns = 2 * self.leaves.len() + 4;
        let mut steps_left = if slightly { turns.min(EVICT_LEAVES_MAX) } else { turns };
        while self.hot_bytes > bytes_max && steps_left > 0 {
            steps_left -= 1;
            let from = self.hand.take().map_or(Bound::Unbounded, Bound::Excluded);
            let Some((key, leaf)) = self.leaves.range_mut((from, Bound::Unbounded)).next() else {
                continue;
            };
            self.hand = Some(key.clone());
            if leaf.hot() > 0 {
                self.hot_bytes -= leaf.pass_hand() as u64;
            }
        }
    }

    /// All entries in order of key.
    pub fn all(&self) -> impl Iterator<Item = &Entry> {
        self.leaves.values().flat_map(|leaf| leaf.entries())
    }
}

/// The part of a leaf that `bounds` means.
fn clip<'a>(separator: &[u8], leaf: &'a Leaf, bounds: &Bounds) -> (&'a [Entry], Option<&'a Leaf>) {
    let entries = leaf.entries();
    let from = if separator > bounds.start.as_ref() {
        0
    } else {
        leaf.position(&bounds.start).unwrap_or_else(|position| position)
    };
    let to = match entries.last() {
        Some(last) if bounds.ends_before(last.key()) => {
            from + entries[from..].partition_point(|entry| !bounds.ends_before(entry.key()))
        }
        _ => entries.len(),
    };
    let whole = from == 0 && to == entries.len();
    (&entries[from..to], whole.then_some(leaf))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::LeaseId;
    use crate::record::{Record, RecordView};

    fn put(index: &mut Index, key: &[u8], main: i64) {
        index.set(key, |entry| {
            let version = entry.map_or(0, Entry::version) + 1;
            let view = RecordView { key, mod_revision: main, version, ..RecordView::default() };
            let revision = Revision::new(main, 0);
            let record = Record::encode(&view);
            NewVersion { revision, create: main, version, lease: LeaseId::NONE, record }
        });
    }

    fn delete(index: &mut Index, key: &[u8], main: i64) {
        index.set(key, |_| NewVersion {
            revision: Revision::new(main, 0),
            create: 0,
            version: 0,
            lease: LeaseId::NONE,
            record: Record::tombstone(key, main),
        });
    }

    fn key(number: u32) -> Vec<u8> {
        format!("{number:08}").into_bytes()
    }

    fn everything() -> Bounds {
        Bounds::new(&bytes::Bytes::from_static(b"\0"), &bytes::Bytes::from_static(b"\0"))
    }

    /// Totals against the entries, and entries against each other and their leaf's key.
    fn assert_sound(index: &Index) {
        let mut before: Option<&[u8]> = None;
        let (mut live, mut hot_bytes) = (0, 0);
        for (separator, leaf) in &index.leaves {
            assert!(separator.is_empty() || !leaf.entries().is_empty());
            assert!(leaf.entries().len() <= LEAF_KEYS_MAX);
            for entry in leaf.entries() {
                assert!(entry.key() >= separator.as_ref());
                assert!(before.is_none_or(|before| before < entry.key()));
                assert!(entry.revision().main <= leaf.newest());
                before = Some(entry.key());
                hot_bytes += entry.record().map_or(0, |record| record.memory_bytes() as u64);
            }
            let count = |wanted: fn(&&Entry) -> bool| leaf.entries().iter().filter(wanted).count();
            assert_eq!(leaf.live() as usize, count(|entry| entry.is_live()));
            assert_eq!(leaf.hot() as usize, count(|entry| entry.record().is_some()));
            assert_eq!(
                leaf.spare_rows(),
                leaf.entries().iter().map(Entry::spare_rows).sum::<u32>()
            );
            live += u64::from(leaf.live());
        }
        assert_eq!((index.live(), index.hot_bytes()), (live, hot_bytes));
    }

    #[test]
    fn ascending_keys_leave_full_leaves() {
        let mut index = Index::new();
        (0..10 * LEAF_KEYS_MAX as u32).for_each(|n| put(&mut index, &key(n), 2));
        assert_sound(&index);
        assert_eq!(index.leaves.len(), 10);
    }

    #[test]
    fn leaves_emptied_by_trimming_are_joined() {
        let mut index = Index::new();
        (0..10_000).for_each(|n| put(&mut index, &key(n), 2));
        (0..10_000).filter(|n| n % 200 != 0).for_each(|n| delete(&mut index, &key(n), 3));
        let (mut cursor, mut removed) = (TrimCursor::start(), Vec::new());
        while !index.trim(&mut cursor, 4, removed.len() + 100, &mut removed) {
            assert_sound(&index);
        }
        assert_sound(&index);
        assert_eq!((index.live(), index.all().count()), (50, 50));
        assert!(index.leaves.len() <= 3, "{} leaves for 50 keys", index.leaves.len());
        assert_eq!(removed.len(), 2 * 9_950);
    }

    #[test]
    fn what_is_read_stays_in_memory_and_the_rest_makes_room() {
        let mut index = Index::new();
        (0..10_000).for_each(|n| put(&mut index, &key(n), 2));
        let all = index.hot_bytes();
        let wanted: Vec<_> = (0..10_000).step_by(10).map(key).collect();
        for key in &wanted {
            assert!(index.get(key).is_some_and(|entry| entry.read().is_some()));
        }
        index.evict(all / 5);
        assert_sound(&index);
        assert!(index.hot_bytes() <= all / 5);
        let kept = wanted.iter().filter(|key| index.get(key).unwrap().record().is_some()).count();
        assert_eq!(kept, wanted.len());
        index.evict(0);
        assert_eq!(index.hot_bytes(), 0);
    }

    #[test]
    fn slightly_above_the_budget_the_hand_takes_a_bounded_walk() {
        let mut index = Index::new();
        let keys = (2 * EVICT_LEAVES_MAX * LEAF_KEYS_MAX) as u32;
        (0..keys).for_each(|n| put(&mut index, &key(n), 2));
        index.all().for_each(|entry| assert!(entry.read().is_some()));
        let all = index.hot_bytes();
        index.evict(all - 1);
        assert_eq!(index.hot_bytes(), all, "the first walk only forgets what was read");
        index.evict(all - 1);
        index.evict(all - 1);
        assert!(index.hot_bytes() < all);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

        #[test]
        fn totals_hold_whatever_happens(
            steps in proptest::collection::vec((0..2_000u32, 0..8u8), 500..4_000),
        ) {
            let mut index = Index::new();
            let mut cursor = TrimCursor::start();
            let mut removed = Vec::new();
            for (main, (number, what)) in (2..).zip(steps) {
                match what {
                    0 => delete(&mut index, &key(number), main),
                    1 if index.trim(&mut cursor, main - 500, removed.len() + 3, &mut removed) => {
                        cursor = TrimCursor::start();
                    }
                    2 => index.evict(u64::from(number) * 40),
                    _ => put(&mut index, &key(number), main),
                }
            }
            assert_sound(&index);
            prop_assert_eq!(index.count(&everything(), i64::MAX), index.live());
        }
    }
}
