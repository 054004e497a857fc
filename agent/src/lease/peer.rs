//! What members ask the leader about leases: only it knows the deadlines.
//!
//! | method | question | answer |
//! |---|---|---|
//! | 1 | lease ids, 8 bytes little endian each: renew them | time to live in seconds, 8 bytes each; 0 is unknown |
//! | 2 | `LeaseTimeToLiveRequest` | `LeaseTimeToLiveResponse` without header |
//! | 3 | empty: which leases are there | lease ids, 8 bytes each, first to expire first |

use std::sync::Arc;

use api::Error;
use api::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use store::{LeaseId, SharedStore};

use super::LeaseBook;

/// Renew leases.
pub(super) const RENEW: u8 = 1;
/// What is left of one lease.
pub(super) const TIME_TO_LIVE: u8 = 2;
/// List the leases by deadline.
pub(super) const LIST: u8 = 3;

/// Answers a question of another member, or of this one, if it leads.
///
/// # Errors
/// `NotPrimaryLessor` when this member does not lead; `Internal` for a question that is none.
pub async fn serve(
    book: &LeaseBook,
    store: Option<&Arc<SharedStore>>,
    method: u8,
    payload: Bytes,
) -> Result<Bytes, Error> {
    match method {
        RENEW => Ok(numbers(book.renew(read_numbers(&payload)?.map(LeaseId))?)),
        TIME_TO_LIVE => time_to_live(book, store.ok_or(Error::NotPrimaryLessor)?, payload),
        LIST => Ok(numbers(book.by_expiry()?.into_iter().map(|id| id.0))),
        other => Err(Error::Internal(format!("question {other} is not known to this release"))),
    }
}

fn time_to_live(book: &LeaseBook, store: &SharedStore, payload: Bytes) -> Result<Bytes, Error> {
    let request = LeaseTimeToLiveRequest::decode(payload)
        .map_err(|error| Error::Internal(format!("malformed question: {error}")))?;
    let response = look_up(book, store, &request)?;
    Ok(response.encode_to_vec().into())
}

/// Unknown leases have -1 left, which is not an error (etcd-surface 1.10).
fn look_up(
    book: &LeaseBook,
    store: &SharedStore,
    request: &LeaseTimeToLiveRequest,
) -> Result<LeaseTimeToLiveResponse, Error> {
    let id = LeaseId(request.id);
    let remaining_ms = book.remaining_ms(id)?;
    let info = store.read(|store| store.lease(id));
    let (Some(remaining_ms), Some(info)) = (remaining_ms, info) else {
        return Ok(LeaseTimeToLiveResponse { id: request.id, ttl: -1, ..Default::default() });
    };
    let keys = if request.keys { info.keys.into_iter().map(Bytes::from).collect() } else { vec![] };
    Ok(LeaseTimeToLiveResponse {
        id: request.id,
        ttl: (remaining_ms / 1000) as i64,
        granted_ttl: info.ttl_s,
        keys,
        ..Default::default()
    })
}

/// Numbers as they travel.
pub(super) fn numbers(values: impl IntoIterator<Item = i64>) -> Bytes {
    let mut bytes = BytesMut::new();
    values.into_iter().for_each(|value| bytes.put_i64_le(value));
    bytes.freeze()
}

/// The inverse of [`numbers`].
///
/// # Errors
/// `Internal` when the length is not a multiple of eight.
pub(super) fn read_numbers(bytes: &[u8]) -> Result<impl Iterator<Item = i64> + '_, Error> {
    let chunks = bytes.chunks_exact(8);
    if !chunks.remainder().is_empty() {
        return Err(Error::Internal("malformed list of numbers from a member".to_owned()));
    }
    Ok(chunks.map(|chunk| i64::from_le_bytes(chunk.try_into().expect("eight bytes"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_travel() {
        let values = [0, -1, i64::MAX, 7];
        let bytes = numbers(values);
        assert_eq!(read_numbers(&bytes).expect("whole").collect::<Vec<_>>(), values);
        assert!(read_numbers(&bytes[1..]).is_err());
    }
}
