//! One key with all its versions.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::ids::{LeaseId, Revision};
use crate::record::{Record, RecordView};

/// The newest version of a key and the list of older ones. 80 bytes: a million keys are an
/// ordinary store, so every field here is paid a million times.
pub(crate) struct Entry {
    key: Box<[u8]>,
    record: Option<Record>,
    past: Option<Box<Past>>,
    main: i64,
    create: i64,
    version: i64,
    lease: LeaseId,
    sub: u32,
    /// Length of the newest record, known even when the record is not in memory, and in the top
    /// bit whether it was read since the eviction hand last passed. Atomic and relaxed, because
    /// readers set the bit under a shared lock and an approximate answer is good enough.
    size: AtomicU32,
}

/// Older versions, oldest first.
#[derive(Default)]
struct Past {
    versions: Vec<PastVersion>,
}

/// Where an older version is found; what it held is in the history.
#[derive(Clone, Copy)]
struct PastVersion {
    main: i64,
    sub: u32,
    deleted: bool,
}

const READ: u32 = 1 << 31;

/// A version about to become the newest of its key.
pub(crate) struct NewVersion {
    /// Its place in history.
    pub revision: Revision,
    /// Main revision of the creation; 0 for a deletion.
    pub create: i64,
    /// Writes since creation; 0 for a deletion.
    pub version: i64,
    /// The lease it is attached to.
    pub lease: LeaseId,
    /// The row. That of a deletion is not kept in memory: no range asks for it.
    pub record: Record,
}

/// The version that was the newest before.
pub(crate) struct Replaced {
    /// Its place in history.
    pub revision: Revision,
    /// The lease it was attached to.
    pub lease: LeaseId,
    /// Length of its record, bytes.
    pub size: u32,
    /// The record, when it was in memory.
    pub record: Option<Record>,
}

/// What a key was at some revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Not there.
    Absent,
    /// The newest version.
    Newest,
    /// An older version, found in the history under this revision.
    Past(Revision),
}

impl Entry {
    pub fn new(key: &[u8], new: NewVersion) -> Self {
        let mut entry = Self {
            key: key.into(),
            record: None,
            past: None,
            main: 0,
            create: 0,
            version: 0,
            lease: LeaseId::NONE,
            sub: 0,
            size: AtomicU32::new(0),
        };
        entry.fill(new);
        entry
    }

    /// Makes `new` the newest version. Returns the live version it replaced, if there was one.
    pub fn replace(&mut self, new: NewVersion) -> Option<Replaced> {
        let replaced = self.is_live().then(|| Replaced {
            revision: self.revision(),
            lease: self.lease,
            size: self.size(),
            record: self.record.take(),
        });
        let version = PastVersion { main: self.main, sub: self.sub, deleted: !self.is_live() };
        self.past.get_or_insert_default().versions.push(version);
        self.fill(new);
        replaced
    }

    fn fill(&mut self, new: NewVersion) {
        let size =
            u32::try_from(new.record.as_bytes().len()).expect("requests are far below 2 GiB");
        assert!(size < READ, "requests are far below 2 GiB");
        self.main = new.revision.main;
        self.sub = u32::try_from(new.revision.sub).expect("a transaction has fewer changes");
        self.create = new.create;
        self.version = new.version;
        self.lease = new.lease;
        *self.size.get_mut() = size;
        self.record = (new.version != 0).then_some(new.record);
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    pub fn revision(&self) -> Revision {
        Revision::new(self.main, i64::from(self.sub))
    }

    pub fn is_live(&self) -> bool {
        self.version != 0
    }

    pub fn create(&self) -> i64 {
        self.create
    }

    pub fn version(&self) -> i64 {
        self.version
    }

    pub fn lease(&self) -> LeaseId {
        self.lease
    }

    /// Length of the newest record, bytes.
    pub fn size(&self) -> u32 {
        self.size.load(Ordering::Relaxed) & !READ
    }

    /// The newest record when it is in memory, noting that somebody wanted it.
    pub fn read(&self) -> Option<&Record> {
        let size = self.size.load(Ordering::Relaxed);
        // Testing first keeps the cache line shared while several readers walk the same keys.
        if size & READ == 0 {
            self.size.fetch_or(READ, Ordering::Relaxed);
        }
        self.record.as_ref()
    }

    /// The newest record when it is in memory.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The newest version without its value: needs no record.
    pub fn view_without_value(&self) -> RecordView<'_> {
        RecordView {
            key: &self.key,
            create_revision: self.create,
            mod_revision: self.main,
            version: self.version,
            value: &[],
            lease: self.lease,
        }
    }

    /// What the key was once transaction `main` had been applied.
    pub fn at(&self, main: i64) -> At {
        if self.main <= main {
            return if self.is_live() { At::Newest } else { At::Absent };
        }
        let Some(past) = self.past.as_deref() else { return At::Absent };
        let after = past.versions.partition_point(|version| version.main <= main);
        match past.versions[..after].last() {
            Some(version) if !version.deleted => At::Past(version.revision()),
            _ => At::Absent,
        }
    }

    /// Whether compaction at `main` leaves this row: it is of that transaction or later, so that a
    /// watch from there misses nothing, or it is the version a read at `main` finds.
    pub fn survives(&self, revision: Revision, main: i64) -> bool {
        revision.main >= main || self.at_revision(main) == Some(revision)
    }

    /// The version a read at `main` finds.
    fn at_revision(&self, main: i64) -> Option<Revision> {
        match self.at(main) {
            At::Absent => None,
            At::Newest => Some(self.revision()),
            At::Past(revision) => Some(revision),
        }
    }

    fn versions(&self) -> impl Iterator<Item = PastVersion> {
        let newest = PastVersion { main: self.main, sub: self.sub, deleted: !self.is_live() };
        self.past.iter().flat_map(|past| past.versions.iter().copied()).chain([newest])
    }

    /// Rows of this key beyond one live version: what compaction may have to look at.
    pub fn spare_rows(&self) -> u32 {
        let past = self.past.as_deref().map_or(0, |past| past.versions.len());
        past as u32 + u32::from(!self.is_live())
    }

    /// Takes out, oldest first, rows that compaction at `main` does not leave, at most `rows_max`.
    /// `true`: the key is left without any row and must go.
    pub fn trim(&mut self, main: i64, rows_max: usize, removed: &mut Vec<Revision>) -> bool {
        let found = self.at_revision(main);
        let before = removed.len();
        removed.extend(
            self.versions()
                .map(PastVersion::revision)
                .take_while(|revision| revision.main < main && Some(*revision) != found)
                .take(rows_max),
        );
        let taken = removed.len() - before;
        taken > 0 && self.forget_oldest(taken)
    }

    fn forget_oldest(&mut self, rows: usize) -> bool {
        let Some(past) = self.past.as_deref_mut() else { return rows == 1 };
        let gone = rows > past.versions.len();
        past.versions.drain(..rows.min(past.versions.len()));
        if past.versions.is_empty() {
            self.past = None;
        } else {
            past.versions.shrink_to(past.versions.len() * 2);
        }
        gone
    }

    /// The hand of the clock passes: forgets that the record was read, or drops the record if it
    /// was not. Returns the memory given back, bytes; `None` when nothing was dropped.
    pub fn pass_hand(&mut self) -> Option<usize> {
        let size = self.size.get_mut();
        if *size & READ != 0 {
            *size &= !READ;
            return None;
        }
        self.record.take().map(|record| record.memory_bytes())
    }
}

impl PastVersion {
    fn revision(self) -> Revision {
        Revision::new(self.main, i64::from(self.sub))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(main: i64, version: i64) -> NewVersion {
        let view = RecordView { key: b"k", mod_revision: main, version, ..RecordView::default() };
        NewVersion {
            revision: Revision::new(main, 0),
            create: 2,
            version,
            lease: LeaseId::NONE,
            record: Record::encode(&view),
        }
    }

    fn delete(main: i64) -> NewVersion {
        NewVersion { create: 0, record: Record::tombstone(b"k", main), ..put(main, 0) }
    }

    fn entry() -> Entry {
        let mut entry = Entry::new(b"k", put(2, 1));
        entry.replace(put(4, 2));
        entry.replace(delete(6));
        entry.replace(put(8, 1));
        entry
    }

    fn mains(revisions: &[Revision]) -> Vec<i64> {
        revisions.iter().map(|revision| revision.main).collect()
    }

    #[test]
    fn an_entry_stays_small() {
        assert!(size_of::<Entry>() <= 80);
    }

    #[test]
    fn each_revision_sees_the_version_of_its_time() {
        let entry = entry();
        assert_eq!(entry.at(1), At::Absent);
        assert_eq!(entry.at(3), At::Past(Revision::new(2, 0)));
        assert_eq!(entry.at(5), At::Past(Revision::new(4, 0)));
        assert_eq!(entry.at(7), At::Absent);
        assert_eq!(entry.at(8), At::Newest);
    }

    #[test]
    fn trimming_keeps_the_last_version_and_a_deletion_made_exactly_there() {
        for (main, gone) in
            [(1, vec![]), (3, vec![]), (5, vec![2]), (6, vec![2, 4]), (7, vec![2, 4, 6])]
        {
            let mut entry = entry();
            let mut removed = Vec::new();
            assert!(!entry.trim(main, 10, &mut removed));
            assert_eq!(mains(&removed), gone, "compacted at {main}");
        }
    }

    #[test]
    fn trimming_in_steps_takes_the_oldest_first_and_the_deletion_last() {
        let mut entry = Entry::new(b"k", put(2, 1));
        entry.replace(delete(3));
        let mut removed = Vec::new();
        assert!(!entry.trim(9, 1, &mut removed));
        assert!(entry.trim(9, 1, &mut removed));
        assert_eq!(mains(&removed), [2, 3]);
    }

    #[test]
    fn a_record_read_since_the_last_turn_survives_one_turn() {
        let mut entry = entry();
        assert!(entry.read().is_some());
        assert_eq!(entry.pass_hand(), None);
        assert!(entry.pass_hand().is_some());
        assert!(entry.record().is_none() && entry.is_live() && entry.size() > 0);
    }
}
