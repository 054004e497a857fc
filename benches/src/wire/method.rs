//! The calls the generator makes.

use http::uri::PathAndQuery;

/// A gRPC method of etcd's v3 API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the names are etcd's
pub enum Method {
    Range,
    Put,
    Txn,
    Watch,
    LeaseGrant,
    LeaseRevoke,
    LeaseKeepAlive,
    Status,
    Snapshot,
}

impl Method {
    /// All of them, in the order of their discriminants.
    pub const ALL: [Self; 9] = [
        Self::Range,
        Self::Put,
        Self::Txn,
        Self::Watch,
        Self::LeaseGrant,
        Self::LeaseRevoke,
        Self::LeaseKeepAlive,
        Self::Status,
        Self::Snapshot,
    ];

    /// The path of the HTTP/2 request.
    pub fn path(self) -> PathAndQuery {
        PathAndQuery::from_static(match self {
            Self::Range => "/etcdserverpb.KV/Range",
            Self::Put => "/etcdserverpb.KV/Put",
            Self::Txn => "/etcdserverpb.KV/Txn",
            Self::Watch => "/etcdserverpb.Watch/Watch",
            Self::LeaseGrant => "/etcdserverpb.Lease/LeaseGrant",
            Self::LeaseRevoke => "/etcdserverpb.Lease/LeaseRevoke",
            Self::LeaseKeepAlive => "/etcdserverpb.Lease/LeaseKeepAlive",
            Self::Status => "/etcdserverpb.Maintenance/Status",
            Self::Snapshot => "/etcdserverpb.Maintenance/Snapshot",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_the_order_of_discriminants() {
        for (index, method) in Method::ALL.into_iter().enumerate() {
            assert_eq!(method as usize, index);
        }
    }
}
