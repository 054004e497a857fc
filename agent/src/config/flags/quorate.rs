//! What etcd does not have.

use super::Group::Quorate;
use super::Status::Works;
use super::{COUNT, Flag};

pub(super) const FLAGS: &[Flag] = &[Flag {
    name: "value-cache-bytes",
    kind: COUNT,
    default: "0",
    group: Quorate,
    status: Works,
    help: "Memory for values of live keys, the rest is read from disk; 0 means a quarter of the \
           memory this process may use.",
}];
