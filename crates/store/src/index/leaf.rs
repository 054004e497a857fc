//! A run of neighbouring keys with totals over them.

use super::entry::{Entry, NewVersion, Replaced};

/// Most keys in one leaf. An insertion moves half of that on average (4 KB), a count skips that
/// many keys at once.
pub(super) const LEAF_KEYS_MAX: usize = 96;

/// A leaf's memory grows by this many keys at a time: doubling would leave a third of it unused.
const GROWTH_KEYS: usize = 16;

/// Entries in order of key, none twice.
#[derive(Default)]
pub(crate) struct Leaf {
    entries: Vec<Entry>,
    /// Keys whose newest version is a write.
    live: u32,
    /// Keys whose newest record is in memory.
    hot: u32,
    /// Rows beyond one live version per key; compaction skips the leaf when 0.
    spare_rows: u32,
    /// Greatest main revision of any entry: from there on `live` is the count.
    newest: i64,
}

/// What became of a key that was set.
pub(super) struct SetOutcome {
    /// The live version before.
    pub replaced: Option<Replaced>,
    /// The leaf has grown too large; it must be split at this position.
    pub split_at: Option<usize>,
}

impl Leaf {
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub fn live(&self) -> u32 {
        self.live
    }

    pub fn hot(&self) -> u32 {
        self.hot
    }

    pub fn spare_rows(&self) -> u32 {
        self.spare_rows
    }

    pub fn newest(&self) -> i64 {
        self.newest
    }

    pub fn position(&self, key: &[u8]) -> Result<usize, usize> {
        self.entries.binary_search_by(|entry| entry.key().cmp(key))
    }

    /// Makes a version the newest of `key`; `make` sees the entry as it was.
    pub fn set(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&Entry>) -> NewVersion,
    ) -> SetOutcome {
        match self.position(key) {
            Ok(position) => {
                let new = make(Some(&self.entries[position]));
                SetOutcome { replaced: self.replace(position, new), split_at: None }
            }
            Err(position) => {
                self.insert(position, Entry::new(key, make(None)));
                SetOutcome { replaced: None, split_at: self.split_position(position) }
            }
        }
    }

    fn replace(&mut self, position: usize, new: NewVersion) -> Option<Replaced> {
        self.forget_totals(position);
        let replaced = self.entries[position].replace(new);
        self.add_totals(position);
        replaced
    }

    fn insert(&mut self, position: usize, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(GROWTH_KEYS);
        }
        self.entries.insert(position, entry);
        self.add_totals(position);
    }

    /// Splits at the end when the key came in at the end, so that ascending keys leave full leaves
    /// behind; in the middle otherwise.
    fn split_position(&self, inserted: usize) -> Option<usize> {
        let keys = self.entries.len();
        let middle = if inserted + 1 == keys { keys - 1 } else { keys / 2 };
        (keys > LEAF_KEYS_MAX).then_some(middle)
    }

    pub fn split_off(&mut self, position: usize) -> Self {
        let mut right = Self { entries: self.entries.split_off(position), ..Self::default() };
        self.entries.shrink_to_fit();
        self.recount();
        right.recount();
        right
    }

    /// Takes over the entries of the leaf to the right.
    pub fn absorb(&mut self, right: Self) {
        self.entries.extend(right.entries);
        self.recount();
    }

    fn forget_totals(&mut self, position: usize) {
        let entry = &self.entries[position];
        self.live -= u32::from(entry.is_live());
        self.hot -= u32::from(entry.record().is_some());
        self.spare_rows -= entry.spare_rows();
    }

    fn add_totals(&mut self, position: usize) {
        let entry = &self.entries[position];
        self.live += u32::from(entry.is_live());
        self.hot += u32::from(entry.record().is_some());
        self.spare_rows += entry.spare_rows();
        self.newest = self.newest.max(entry.revision().main);
    }

    fn recount(&mut self) {
        (self.live, self.hot, self.spare_rows, self.newest) = (0, 0, 0, 0);
        (0..self.entries.len()).for_each(|position| self.add_totals(position));
    }

    /// Trims from `position` on (see [`Entry::trim`]) until `removed` holds `rows_max` rows.
    /// Returns where to go on, `None` when the leaf is done.
    pub fn trim(
        &mut self,
        mut position: usize,
        main: i64,
        rows_max: usize,
        removed: &mut Vec<crate::Revision>,
    ) -> Option<usize> {
        let keys = self.entries.len();
        while position < self.entries.len() && removed.len() < rows_max {
            let budget = rows_max - removed.len();
            if self.entries[position].trim(main, budget, removed) {
                self.entries.remove(position);
            } else if removed.len() < rows_max {
                position += 1;
            }
        }
        if self.entries.len() < keys {
            self.entries.shrink_to(self.entries.len() + GROWTH_KEYS);
        }
        self.recount();
        (position < self.entries.len()).then_some(position)
    }

    /// The eviction hand passes over the whole leaf. Returns the memory given back, bytes.
    pub fn pass_hand(&mut self) -> usize {
        let mut freed = 0;
        for entry in &mut self.entries {
            if let Some(bytes) = entry.pass_hand() {
                freed += bytes;
                self.hot -= 1;
            }
        }
        freed
    }
}
