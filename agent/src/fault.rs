//! Faults of the member itself, told to clients without pretending to know more.

use api::Error;
use store::ReadError;

/// What a client learns of a read that failed.
///
/// A row that cannot be read is the member's fault; the text says so, the details are in its log.
pub fn read(error: ReadError) -> Error {
    match error {
        ReadError::Etcd(error) => error,
        ReadError::History(error) => {
            tracing::error!(%error, "could not read from the database");
            Error::Internal("etcdserver: the database could not be read".to_owned())
        }
    }
}

/// The outcome of a proposal is of another kind than the proposal: a bug, not the client's fault.
pub fn mismatched_reply() -> Error {
    Error::Internal("etcdserver: the answer does not belong to the request".to_owned())
}
