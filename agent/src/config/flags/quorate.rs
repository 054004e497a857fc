//! What etcd does not have.

use super::Group::Quorate;
use super::Status::Works;
use super::{COUNT, Flag, Kind};

pub(super) const FLAGS: &[Flag] = &[
    Flag {
        name: "admin-socket",
        kind: Kind::Text,
        default: "",
        group: Quorate,
        status: Works,
        help: "Path of the unix socket that quorate admin talks to, for root and this process's \
               user alone; empty means none.",
    },
    Flag {
        name: "join-seeds",
        kind: Kind::Urls,
        default: "",
        group: Quorate,
        status: Works,
        help: "Peer URLs to ask for membership; with them an empty data directory joins by itself \
               when --initial-cluster-state is existing.",
    },
    Flag {
        name: "join-seeds-file",
        kind: Kind::Text,
        default: "",
        group: Quorate,
        status: Works,
        help: "File with more of --join-seeds, one per line, read again before every attempt.",
    },
    Flag {
        name: "value-cache-bytes",
        kind: COUNT,
        default: "0",
        group: Quorate,
        status: Works,
        help: "Memory for values of live keys, the rest is read from disk; 0 means a quarter of \
               the memory this process may use.",
    },
];
