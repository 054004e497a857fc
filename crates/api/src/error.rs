//! The one table from what went wrong to the gRPC code and the exact text etcd sends.
//!
//! Clients compare the text (the Go client turns it back into a typed error), so both columns are
//! contract. Source: etcd's `api/v3rpc/rpctypes` and `v3rpc/util.go`, etcd-surface section 2.

use std::fmt;

use tonic::{Code, Status};

macro_rules! table {
    ($($(#[$doc:meta])* $name:ident => $code:ident, $text:literal;)*) => {
        /// Everything a client can be told went wrong, by etcd's own names.
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Error {
            $($(#[$doc])* #[doc = concat!("`", stringify!($code), "`: ", $text)] $name,)*
            /// `Unknown` with a bare text: what etcd leaves unmapped.
            Unknown(String),
            /// `InvalidArgument` with a text of its own.
            InvalidArgument(String),
            /// `Unimplemented` with a text that says what is missing.
            Unimplemented(String),
            /// `Unavailable` with a text of its own: nothing was executed.
            Unavailable(String),
            /// `Internal`: the member itself is at fault.
            Internal(String),
        }

        impl Error {
            /// The gRPC code etcd answers with.
            pub fn code(&self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)*
                    Self::Unknown(_) => Code::Unknown,
                    Self::InvalidArgument(_) => Code::InvalidArgument,
                    Self::Unimplemented(_) => Code::Unimplemented,
                    Self::Unavailable(_) => Code::Unavailable,
                    Self::Internal(_) => Code::Internal,
                }
            }

            /// The text etcd answers with.
            pub fn text(&self) -> &str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Unknown(text)
                    | Self::InvalidArgument(text)
                    | Self::Unimplemented(text)
                    | Self::Unavailable(text)
                    | Self::Internal(text) => text,
                }
            }

            /// Position in the table, for the peer protocol; `None` for the variants with a text.
            pub fn table_index(&self) -> Option<u16> {
                ALL.iter().position(|error| error == self).map(|index| index as u16)
            }

            /// The inverse of [`Self::table_index`].
            pub fn from_table_index(index: u16) -> Option<Self> {
                ALL.get(usize::from(index)).cloned()
            }
        }

        /// Every row of the table, in order. The order is peer protocol: append only.
        const ALL: &[Error] = &[$(Error::$name,)*];
    };
}

table! {
    EmptyKey => InvalidArgument, "etcdserver: key is not provided";
    KeyNotFound => InvalidArgument, "etcdserver: key not found";
    ValueProvided => InvalidArgument, "etcdserver: value is provided";
    LeaseProvided => InvalidArgument, "etcdserver: lease is provided";
    TooManyOps => InvalidArgument, "etcdserver: too many operations in txn request";
    DuplicateKey => InvalidArgument, "etcdserver: duplicate key given in txn request";
    InvalidSortOption => InvalidArgument, "etcdserver: invalid sort option";
    Compacted => OutOfRange, "etcdserver: mvcc: required revision has been compacted";
    FutureRevision => OutOfRange, "etcdserver: mvcc: required revision is a future revision";
    NoSpace => ResourceExhausted, "etcdserver: mvcc: database space exceeded";
    LeaseNotFound => NotFound, "etcdserver: requested lease not found";
    LeaseExist => FailedPrecondition, "etcdserver: lease already exists";
    LeaseTtlTooLarge => OutOfRange, "etcdserver: too large lease TTL";
    WatchCanceled => Cancelled, "etcdserver: watch canceled";
    MemberExist => FailedPrecondition, "etcdserver: member ID already exist";
    PeerUrlExist => FailedPrecondition, "etcdserver: Peer URLs already exists";
    /// Declared FailedPrecondition in etcd, but leaves its server unmapped.
    MemberNotEnoughStarted => Unknown, "etcdserver: re-configuration failed due to not enough started members";
    MemberBadUrls => InvalidArgument, "etcdserver: given member URLs are invalid";
    MemberNotFound => NotFound, "etcdserver: member not found";
    MemberNotLearner => FailedPrecondition, "etcdserver: can only promote a learner member";
    LearnerNotReady => FailedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader";
    TooManyLearners => FailedPrecondition, "etcdserver: too many learner members in cluster";
    ClusterIdMismatch => FailedPrecondition, "etcdserver: cluster ID mismatch";
    RequestTooLarge => InvalidArgument, "etcdserver: request is too large";
    /// Declared ResourceExhausted in etcd, but leaves its server unmapped.
    TooManyRequests => Unknown, "etcdserver: too many requests";
    NoLeader => Unavailable, "etcdserver: no leader";
    NotLeader => FailedPrecondition, "etcdserver: not leader";
    LeaderChanged => Unavailable, "etcdserver: leader changed";
    NotCapable => FailedPrecondition, "etcdserver: not capable";
    Stopped => Unavailable, "etcdserver: server stopped";
    Timeout => Unavailable, "etcdserver: request timed out";
    TimeoutDueToLeaderFail => Unavailable, "etcdserver: request timed out, possibly due to previous leader failure";
    TimeoutDueToConnectionLost => Unavailable, "etcdserver: request timed out, possibly due to connection lost";
    TimeoutWaitAppliedIndex => Unavailable, "etcdserver: request timed out, waiting for the applied index took too long";
    Unhealthy => Unavailable, "etcdserver: unhealthy cluster";
    Corrupt => DataLoss, "etcdserver: corrupt cluster";
    NotSupportedForLearner => FailedPrecondition, "etcdserver: rpc not supported for learner";
    BadLeaderTransferee => FailedPrecondition, "etcdserver: bad leader transferee";
    /// Unmapped in etcd.
    TransferTookTooLong => Unknown, "etcdserver: request timed out, leader transfer took too long";
    /// Unmapped in etcd: the lessor lost the leadership in the middle of a request.
    NotPrimaryLessor => Unknown, "not a primary lessor";
    RequestCanceled => Cancelled, "etcdserver: request canceled";
    DeadlineExceeded => DeadlineExceeded, "etcdserver: context deadline exceeded";
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for Error {}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Status::new(error.code(), error.text())
    }
}

/// The number of a gRPC code as it stands in the `grpc-status` trailer.
pub fn grpc_code(code: Code) -> i32 {
    code as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_survives_the_peer_protocol() {
        for (index, error) in ALL.iter().enumerate() {
            assert_eq!(error.table_index(), Some(index as u16));
            assert_eq!(Error::from_table_index(index as u16).as_ref(), Some(error));
        }
        assert_eq!(Error::from_table_index(u16::MAX), None);
    }

    #[test]
    fn texts_are_unique_so_that_clients_can_tell_them_apart() {
        let mut texts: Vec<&str> = ALL.iter().map(Error::text).collect();
        texts.sort_unstable();
        texts.dedup();
        assert_eq!(texts.len(), ALL.len());
    }
}
