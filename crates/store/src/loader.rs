//! Building the store out of what the database holds, at start-up or from a snapshot.

use api::etcdserverpb::AlarmMember;

use crate::change::{MemberAttributes, RowKind};
use crate::ids::{LeaseId, Revision};
use crate::index::NewVersion;
use crate::record::Record;
use crate::store::{Options, Store};

/// Takes rows and the rest in any order, except that rows come in order of revision, and makes the
/// store they describe. Rows that compaction gave up but that were not removed yet are taken too;
/// they are scheduled for removal again.
pub struct Loader {
    store: Store,
    last: Revision,
    rows: usize,
}

/// Rows between two looks at the memory budget.
const SLICE_ROWS: usize = 1024;

impl Store {
    /// Starts loading.
    pub fn loader(options: Options) -> Loader {
        Loader { store: Self::new(options), last: Revision::default(), rows: 0 }
    }
}

impl Loader {
    /// A row of the database.
    ///
    /// # Panics
    /// When its revision is not greater than that of the row before: what came after would be
    /// attributed to the wrong time.
    pub fn row(&mut self, revision: Revision, kind: RowKind, record: Record) {
        assert!(revision > self.last, "row {revision} follows {}", self.last);
        self.last = revision;
        let view = record.view();
        let lease = if kind == RowKind::Put { view.lease } else { LeaseId::NONE };
        let (create, version) = match kind {
            RowKind::Put => (view.create_revision, view.version),
            RowKind::Delete => (0, 0),
        };
        let new = NewVersion { revision, create, version, lease, record: record.clone() };
        self.store.set(view.key, |_| new);
        self.store.current = self.store.current.max(revision.main);
        self.rows += 1;
        if self.rows.is_multiple_of(SLICE_ROWS) {
            self.store.begin_slice();
        }
    }

    /// A lease that exists.
    pub fn lease(&mut self, id: LeaseId, ttl_s: i64) {
        self.store.leases.grant(id, ttl_s);
    }

    /// The mark of the last compaction.
    pub fn compacted(&mut self, revision: i64) {
        self.store.compacted = revision;
    }

    /// An alarm that stands.
    pub fn alarm(&mut self, alarm: AlarmMember) {
        self.store.alarms.raise(alarm);
    }

    /// What a member has published.
    pub fn member(&mut self, attributes: MemberAttributes) {
        self.store.members.insert(attributes.member, attributes);
    }

    /// The decided cluster version.
    pub fn cluster_version(&mut self, version: String) {
        self.store.cluster_version = Some(version);
    }

    /// The store's revision, if it is beyond that of the last row.
    pub fn current_revision(&mut self, revision: i64) {
        self.store.current = self.store.current.max(revision);
    }

    /// The store.
    pub fn finish(mut self) -> Store {
        self.store.attach_leases();
        self.store.ledger.compacted(self.store.compacted);
        self.store.begin_slice();
        self.store
    }
}

impl Store {
    /// Leases may have come after the rows that name them.
    fn attach_leases(&mut self) {
        let attached = self.index.all().filter(|entry| entry.lease() != LeaseId::NONE);
        for entry in attached {
            self.leases.move_key(entry.key(), LeaseId::NONE, entry.lease());
        }
    }
}
