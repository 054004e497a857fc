//! What applying a command changed: the rows for the database and, the same objects, the events
//! for the watchers.

use api::etcdserverpb::AlarmMember;

use crate::ids::{LeaseId, MemberId, Revision};
use crate::record::Record;

/// Whether a row is a version of a key or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// A write.
    Put,
    /// A deletion; the record holds only key and mod_revision.
    Delete,
}

/// The version of the key that a row replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Previous {
    /// The key did not exist.
    None,
    /// The value is still at hand.
    Hot(Record),
    /// The value has been evicted from memory and is found under this revision.
    Cold(Revision),
}

/// One change of one key: a row of the database and an event for watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Where in history; unique.
    pub revision: Revision,
    /// Write or deletion.
    pub kind: RowKind,
    /// What is stored and sent.
    pub record: Record,
    /// What was there before.
    pub previous: Previous,
}

/// What one applied command asks the database to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// Insert the row.
    Row(Row),
    /// History up to this main revision was given up. The rows to remove follow later, in steps,
    /// as [`Change::RowsRemoved`]; this one makes the mark survive a restart.
    Compacted(i64),
    /// Physical compaction: these rows are no longer reachable.
    RowsRemoved(Vec<Revision>),
    /// A lease came into being or changed.
    Lease {
        /// The lease.
        id: LeaseId,
        /// Granted time to live, seconds.
        ttl_s: i64,
    },
    /// A lease is gone; its keys went with rows of their own.
    LeaseRemoved(LeaseId),
    /// An alarm was raised.
    AlarmRaised(AlarmMember),
    /// An alarm was cleared.
    AlarmCleared(AlarmMember),
    /// A member published its name and client URLs.
    MemberAttributes(MemberAttributes),
    /// A member left; what it published is forgotten.
    MemberRemoved(MemberId),
    /// The cluster version was decided, "3.7.0" for instance.
    ClusterVersion(String),
}

/// What a member says of itself once it runs (etcd's member attributes).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberAttributes {
    /// The member.
    pub member: MemberId,
    /// Its human-readable name.
    pub name: String,
    /// Where clients reach it.
    pub client_urls: Vec<String>,
}
