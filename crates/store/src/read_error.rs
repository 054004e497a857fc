//! Why a read failed.

use thiserror::Error;

use crate::history::HistoryError;

/// Why a read failed.
#[derive(Clone, Debug, Error)]
pub enum ReadError {
    /// What to tell the client.
    #[error(transparent)]
    Etcd(#[from] api::Error),
    /// The database failed; the member cannot go on.
    #[error(transparent)]
    History(#[from] HistoryError),
}
