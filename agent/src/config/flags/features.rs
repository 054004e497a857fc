//! Tuning, and ways to lose data.

use super::Group::{Features, Unsafe};
use super::Status::{Ignored, Later, Refused, Works};
use super::{COUNT, Flag, Kind};

const CORRUPT_CHECK: super::Status =
    Later("comparing members in the background is not available in this release yet");

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "corrupt-check-time",
        kind: Kind::Duration,
        default: "0s",
        group: Features,
        status: CORRUPT_CHECK,
        help: "How often members compare their data; 0 means never.",
    },
    Flag {
        name: "compact-hash-check-time",
        kind: Kind::Duration,
        default: "1m",
        group: Features,
        status: CORRUPT_CHECK,
        help: "How often the leader compares hashes taken at compactions.",
    },
    Flag {
        name: "compaction-batch-limit",
        kind: Kind::Integer { min: 1, max: 1_000_000 },
        default: "1000",
        group: Features,
        status: Works,
        help: "Revisions removed in one step of a compaction.",
    },
    Flag {
        name: "compaction-sleep-interval",
        kind: Kind::Duration,
        default: "10ms",
        group: Features,
        status: Works,
        help: "Pause between two steps of a compaction.",
    },
    Flag {
        name: "watch-progress-notify-interval",
        kind: Kind::Duration,
        default: "10m",
        group: Features,
        status: Works,
        help: "How often an idle watch that asked for it is told the revision.",
    },
    Flag {
        name: "warning-apply-duration",
        kind: Kind::Duration,
        default: "100ms",
        group: Features,
        status: Works,
        help: "Applying a batch of commands for longer is logged as slow.",
    },
    Flag {
        name: "bootstrap-defrag-threshold-megabytes",
        kind: COUNT,
        default: "0",
        group: Features,
        status: Ignored("freed pages are reused, the database needs no defragmentation"),
        help: "Free space at the start beyond which the database is rewritten.",
    },
    Flag {
        name: "max-learners",
        kind: Kind::Integer { min: 1, max: 1000 },
        default: "1",
        group: Features,
        status: Works,
        help: "Members without a vote the cluster may have at a time.",
    },
    Flag {
        name: "downgrade-check-time",
        kind: Kind::Duration,
        default: "5s",
        group: Features,
        status: Later("downgrades are not available in this release yet"),
        help: "How often the leader looks whether a downgrade is complete.",
    },
    Flag {
        name: "snapshot-catchup-entries",
        kind: COUNT,
        default: "100000",
        group: Features,
        status: Works,
        help: "Log entries kept beyond those the database holds, for members that lag.",
    },
    Flag {
        name: "force-new-cluster",
        kind: Kind::Bool,
        default: "false",
        group: Unsafe,
        status: Later("recovery from a lost majority is not available in this release yet"),
        help: "Start as the only member of a cluster made from this data.",
    },
    Flag {
        name: "unsafe-no-fsync",
        kind: Kind::Bool,
        default: "false",
        group: Unsafe,
        status: Refused("an answer means the write is on disk"),
        help: "Answer before writes are on disk.",
    },
];
