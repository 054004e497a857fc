//! All replicated state, and how a version of a key enters it.

use std::collections::BTreeMap;

use api::etcdserverpb::{AlarmMember, AlarmType};

use crate::alarm::Alarms;
use crate::change::{Change, MemberAttributes, Previous, Row, RowKind};
use crate::compact::Trim;
use crate::history::{History, HistoryError};
use crate::ids::{LeaseId, MemberId, Revision};
use crate::index::{Entry, Index, NewVersion, Replaced};
use crate::lease::{LeaseInfo, Leases};
use crate::ledger::Ledger;
use crate::record::Record;

/// What the store may use and how it counts.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of newest records kept in memory; beyond it those not read lately are dropped and
    /// come from the [`History`] when wanted. Exceeded by what one slice of commands writes.
    pub value_bytes_max: u64,
    /// Most operations in a list of a transaction; the store itself does not look at it, the
    /// request check does ([`crate::check_txn`]).
    pub max_txn_ops: usize,
}

impl Default for Options {
    /// 1 GiB of values and etcd's limit of 128 operations.
    fn default() -> Self {
        Self { value_bytes_max: 1 << 30, max_txn_ops: 128 }
    }
}

/// Never compacted; etcd shows the same number on the wire.
pub(crate) const NOT_COMPACTED: i64 = -1;

/// An empty store is at revision 1; the first write makes 2.
pub(crate) const FIRST_REVISION: i64 = 1;

/// Room kept for the rows of a slice; a larger slice gives its memory back.
const FRESH_ROWS_KEPT: usize = 16 * 1024;

/// A row as the history will have it.
pub(crate) type FreshRow = (Revision, RowKind, Record);

/// All replicated state of one member; [`crate::SharedStore`] puts it behind a lock.
pub struct Store {
    pub(crate) options: Options,
    pub(crate) index: Index,
    /// Main revision of the last transaction that changed something.
    pub(crate) current: i64,
    /// History below this main revision was given up.
    pub(crate) compacted: i64,
    pub(crate) trim: Trim,
    pub(crate) leases: Leases,
    pub(crate) alarms: Alarms,
    pub(crate) members: BTreeMap<MemberId, MemberAttributes>,
    pub(crate) cluster_version: Option<String>,
    pub(crate) ledger: Ledger,
    /// Rows of the slice of commands applied last, ascending: the caller may not have handed them
    /// to the database yet, so the history may not have them. Emptied when the next slice comes.
    fresh: Vec<FreshRow>,
    /// The revision before that slice.
    slice_start: i64,
}

impl Store {
    /// An empty store.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            index: Index::new(),
            current: FIRST_REVISION,
            compacted: NOT_COMPACTED,
            trim: Trim::new(),
            leases: Leases::default(),
            alarms: Alarms::default(),
            members: BTreeMap::new(),
            cluster_version: None,
            ledger: Ledger::default(),
            fresh: Vec::new(),
            slice_start: FIRST_REVISION,
        }
    }

    /// Main revision of the last transaction that changed something; 1 in an empty store.
    pub fn current_revision(&self) -> i64 {
        self.current
    }

    /// Reads below this main revision are refused; -1 before the first compaction.
    pub fn compact_revision(&self) -> i64 {
        self.compacted
    }

    /// Bytes of all rows that compaction has left, for the quota. The same on every member at the
    /// same revision and compaction, whatever each has physically removed or holds in memory.
    pub fn bytes_in_use(&self) -> u64 {
        self.ledger.in_use()
    }

    /// Bytes of records held in memory.
    pub fn hot_bytes(&self) -> u64 {
        self.index.hot_bytes()
    }

    /// Keys that exist now.
    pub fn keys_total(&self) -> u64 {
        self.index.live()
    }

    /// The alarms that stand, by type and member.
    pub fn alarms(&self) -> Vec<AlarmMember> {
        self.alarms.list(AlarmType::None as i32)
    }

    /// What members have published, in order of id.
    pub fn members(&self) -> Vec<MemberAttributes> {
        self.members.values().cloned().collect()
    }

    /// What one member has published.
    pub fn member(&self, id: MemberId) -> Option<&MemberAttributes> {
        self.members.get(&id)
    }

    /// The decided cluster version.
    pub fn cluster_version(&self) -> Option<&str> {
        self.cluster_version.as_deref()
    }

    /// A lease with its keys.
    pub fn lease(&self, id: LeaseId) -> Option<LeaseInfo> {
        self.leases.info(id)
    }

    /// Every lease with its time to live in seconds, in order of id.
    pub fn leases(&self) -> Vec<(LeaseId, i64)> {
        self.leases.all()
    }

    /// A new slice of commands comes: everything handed out before is with the history now, so
    /// records may be dropped from memory.
    pub(crate) fn begin_slice(&mut self) {
        self.fresh.clear();
        self.fresh.shrink_to(FRESH_ROWS_KEPT);
        self.slice_start = self.current;
        self.index.evict(self.options.value_bytes_max);
    }

    /// Makes a version the newest of its key and keeps leases and counters in step. Returns the
    /// version it replaced and the new row's record.
    pub(crate) fn set(
        &mut self,
        key: &[u8],
        make: impl FnOnce(Option<&Entry>) -> NewVersion,
    ) -> Written {
        let mut made = None;
        let replaced = self.index.set(key, |entry| {
            let new = make(entry);
            made = Some((new.record.clone(), new.lease, new.revision, new.version == 0));
            new
        });
        let (record, lease, revision, deleted) = made.expect("the index asks for a version once");
        let before = replaced.as_ref().map_or(LeaseId::NONE, |replaced| replaced.lease);
        self.leases.move_key(key, before, lease);
        self.count(&record, revision.main, deleted, replaced.as_ref());
        let kind = if deleted { RowKind::Delete } else { RowKind::Put };
        self.fresh.push((revision, kind, record.clone()));
        Written { record, replaced }
    }

    fn count(&mut self, record: &Record, main: i64, deleted: bool, replaced: Option<&Replaced>) {
        let bytes = record.as_bytes().len() as u64;
        self.ledger.written(bytes);
        if let Some(replaced) = replaced {
            let passed = main.max(replaced.revision.main + 1);
            self.ledger.doom(passed, u64::from(replaced.size));
        }
        if deleted {
            self.ledger.doom(main + 1, bytes);
        }
    }

    /// The record of an older version when it is still at hand.
    pub(crate) fn fresh(&self, revision: Revision) -> Option<&Record> {
        let position = self.fresh.binary_search_by_key(&revision, |(revision, ..)| *revision);
        position.ok().map(|position| &self.fresh[position].2)
    }

    /// The rows that the history may not have yet, and the main revision up to which it has all.
    pub(crate) fn fresh_rows(&self) -> (i64, &[FreshRow]) {
        (self.slice_start, &self.fresh)
    }

    /// The newest record of a key, from memory or the history.
    pub(crate) fn load(
        &self,
        entry: &Entry,
        history: &dyn History,
    ) -> Result<Record, HistoryError> {
        match entry.read() {
            Some(record) => Ok(record.clone()),
            None => history.load(entry.revision()),
        }
    }

    /// Whether a row is one that compaction at `main` leaves. `main` must not be below what has
    /// been trimmed already.
    pub(crate) fn survives(&self, key: &[u8], revision: Revision, main: i64) -> bool {
        revision.main > main
            || self.index.get(key).is_some_and(|entry| entry.survives(revision, main))
    }

    /// Whether a key exists now.
    pub(crate) fn exists(&self, key: &[u8]) -> bool {
        self.live(key).is_some()
    }

    /// The entry of a key that exists now.
    pub(crate) fn live(&self, key: &[u8]) -> Option<&Entry> {
        self.index.get(key).filter(|entry| entry.is_live())
    }

    /// Forgets what members other than these have published.
    pub(crate) fn members_retain(&mut self, keep: &[MemberId], changes: &mut Vec<Change>) {
        let gone: Vec<MemberId> =
            self.members.keys().copied().filter(|member| !keep.contains(member)).collect();
        for member in gone {
            self.members.remove(&member);
            changes.push(Change::MemberRemoved(member));
        }
    }
}

/// What [`Store::set`] did.
pub(crate) struct Written {
    /// The new row.
    pub record: Record,
    /// The live version before.
    pub replaced: Option<Replaced>,
}

impl Written {
    /// As the row that goes to the database and to the watchers.
    pub fn into_row(self, revision: Revision, kind: RowKind) -> Row {
        let previous = match self.replaced {
            None => Previous::None,
            Some(Replaced { record: Some(record), .. }) => Previous::Hot(record),
            Some(Replaced { revision, .. }) => Previous::Cold(revision),
        };
        Row { revision, kind, record: self.record, previous }
    }
}
