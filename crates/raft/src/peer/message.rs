//! What the frames carry.

use api::Error;
use bytes::{Bytes, BytesMut};
use openraft::raft::{
    AppendEntriesRequest, SnapshotResponse, StreamAppendError, StreamAppendResult,
    TransferLeaderRequest, VoteRequest, VoteResponse,
};

use storage::Incarnation;

use crate::codec::{DecodeError, Wire};
use crate::types::{Entry, LogId, SnapshotMeta, StoredMembership, TypeConfig, Vote};

type Result<T> = std::result::Result<T, DecodeError>;

/// Changes of membership: the method numbers of [`super::frame::Kind::Call`] that this crate keeps for
/// itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Method {
    Add = 200,
    Remove = 201,
    Update = 202,
    Promote = 203,
    Claim = 204,
    Retire = 205,
}

impl Method {
    /// The lowest number kept.
    pub(crate) const FIRST: u8 = 200;

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Update, Self::Promote, Self::Claim, Self::Retire]
            .into_iter()
            .find(|method| *method as u8 == byte)
    }
}

/// Who calls whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hello {
    pub(super) cluster: u64,
    pub(super) from: u64,
    /// The sender's data directory, see design section 6.
    pub(super) incarnation: Incarnation,
    pub(super) to: u64,
}

impl Wire for Hello {
    fn put(&self, buffer: &mut BytesMut) {
        self.cluster.put(buffer);
        self.from.put(buffer);
        self.incarnation.0.put(buffer);
        self.to.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        Ok(Self {
            cluster: u64::parse(bytes)?,
            from: u64::parse(bytes)?,
            incarnation: Incarnation(Wire::parse(bytes)?),
            to: u64::parse(bytes)?,
        })
    }
}

/// Why a connection is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) removed: bool,
    pub(super) text: String,
}

impl Wire for Refusal {
    fn put(&self, buffer: &mut BytesMut) {
        self.removed.put(buffer);
        self.text.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        Ok(Self { removed: bool::parse(bytes)?, text: String::parse(bytes)? })
    }
}

impl Wire for Error {
    fn put(&self, buffer: &mut BytesMut) {
        match self.table_index() {
            Some(index) => u64::from(index).put(buffer),
            None => {
                (FREE_TEXT + self.code() as u64).put(buffer);
                self.text().to_owned().put(buffer);
            }
        }
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let number = u64::parse(bytes)?;
        if let Ok(index) = u16::try_from(number) {
            return Self::from_table_index(index).ok_or(DecodeError::Undefined("an error"));
        }
        let text = String::parse(bytes)?;
        Ok(match number.wrapping_sub(FREE_TEXT) {
            INVALID_ARGUMENT => Self::InvalidArgument(text),
            UNIMPLEMENTED => Self::Unimplemented(text),
            UNAVAILABLE => Self::Unavailable(text),
            INTERNAL => Self::Internal(text),
            _ => Self::Unknown(text),
        })
    }
}

/// Errors with a text of their own are numbered above every index of the table.
const FREE_TEXT: u64 = 1 << 32;
const INVALID_ARGUMENT: u64 = 3;
const UNIMPLEMENTED: u64 = 12;
const INTERNAL: u64 = 13;
const UNAVAILABLE: u64 = 14;

pub(super) fn put_append(request: &AppendEntriesRequest<TypeConfig>) -> Bytes {
    let size: usize = request
        .entries
        .iter()
        .map(|entry| match &entry.payload {
            openraft::EntryPayload::Normal(command) => command.encoded().len() + ENTRY_OVERHEAD,
            _ => ENTRY_OVERHEAD,
        })
        .sum();
    let mut buffer = BytesMut::with_capacity(size + APPEND_OVERHEAD);
    request.vote.put(&mut buffer);
    request.prev_log_id.put(&mut buffer);
    request.leader_commit.put(&mut buffer);
    request.entries.put(&mut buffer);
    buffer.freeze()
}

/// Position, kind and length before an entry's payload.
const ENTRY_OVERHEAD: usize = 21;
/// Vote, two optional positions and a count.
const APPEND_OVERHEAD: usize = 64;

/// An append whose entries do not follow each other and the one before them is refused here: a hole
/// in the log must not depend on the good behaviour of whoever sent it.
pub(super) fn take_append(bytes: &mut Bytes) -> Result<AppendEntriesRequest<TypeConfig>> {
    let request = AppendEntriesRequest {
        vote: Vote::parse(bytes)?,
        prev_log_id: Option::parse(bytes)?,
        leader_commit: Option::parse(bytes)?,
        entries: Vec::<Entry>::parse(bytes)?,
    };
    let first = request.prev_log_id.map_or(0, |prev| prev.index + 1);
    let mut numbered = (first..).zip(request.entries.iter());
    let consecutive = numbered.all(|(index, entry): (u64, &Entry)| index == entry.log_id.index);
    if consecutive { Ok(request) } else { Err(DecodeError::Undefined("the order of entries")) }
}

pub(super) fn put_append_result(result: &StreamAppendResult<TypeConfig>) -> Bytes {
    let mut buffer = BytesMut::new();
    match result {
        Ok(matching) => {
            0u8.put(&mut buffer);
            matching.put(&mut buffer);
        }
        Err(StreamAppendError::Conflict(conflict)) => {
            1u8.put(&mut buffer);
            conflict.put(&mut buffer);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            2u8.put(&mut buffer);
            vote.put(&mut buffer);
        }
    }
    buffer.freeze()
}

pub(super) fn take_append_result(bytes: &mut Bytes) -> Result<StreamAppendResult<TypeConfig>> {
    Ok(match u8::parse(bytes)? {
        0 => Ok(Option::parse(bytes)?),
        1 => Err(StreamAppendError::Conflict(LogId::parse(bytes)?)),
        2 => Err(StreamAppendError::HigherVote(Vote::parse(bytes)?)),
        _ => return Err(DecodeError::Undefined("an append result")),
    })
}

pub(super) fn put_vote_request(request: &VoteRequest<TypeConfig>) -> Bytes {
    let mut buffer = BytesMut::new();
    request.vote.put(&mut buffer);
    request.last_log_id.put(&mut buffer);
    request.leadership_transfer.put(&mut buffer);
    buffer.freeze()
}

pub(super) fn take_vote_request(bytes: &mut Bytes) -> Result<VoteRequest<TypeConfig>> {
    let mut request = VoteRequest::new(Vote::parse(bytes)?, Option::parse(bytes)?);
    request.leadership_transfer = bool::parse(bytes)?;
    Ok(request)
}

pub(super) fn put_vote_response(response: &VoteResponse<TypeConfig>) -> Bytes {
    let mut buffer = BytesMut::new();
    response.vote.put(&mut buffer);
    response.last_log_id.put(&mut buffer);
    response.vote_granted.put(&mut buffer);
    buffer.freeze()
}

pub(super) fn take_vote_response(bytes: &mut Bytes) -> Result<VoteResponse<TypeConfig>> {
    let (vote, last) = (Vote::parse(bytes)?, Option::parse(bytes)?);
    Ok(VoteResponse::new(vote, last, bool::parse(bytes)?))
}

pub(super) fn put_transfer(request: &TransferLeaderRequest<TypeConfig>) -> Bytes {
    let mut buffer = BytesMut::new();
    request.from_leader().put(&mut buffer);
    request.to_node_id().put(&mut buffer);
    request.last_log_id().copied().put(&mut buffer);
    buffer.freeze()
}

pub(super) fn take_transfer(bytes: &mut Bytes) -> Result<TransferLeaderRequest<TypeConfig>> {
    Ok(TransferLeaderRequest::new(Vote::parse(bytes)?, u64::parse(bytes)?, Option::parse(bytes)?))
}

pub(super) fn put_snapshot_begin(vote: &Vote, meta: &SnapshotMeta) -> Bytes {
    let mut buffer = BytesMut::new();
    vote.put(&mut buffer);
    meta.last_log_id.put(&mut buffer);
    meta.last_membership.put(&mut buffer);
    buffer.freeze()
}

pub(super) fn take_snapshot_begin(bytes: &mut Bytes) -> Result<(Vote, SnapshotMeta)> {
    let vote = Vote::parse(bytes)?;
    let last_log_id = Option::parse(bytes)?;
    let last_membership = StoredMembership::parse(bytes)?;
    Ok((vote, SnapshotMeta { last_log_id, last_membership }))
}

pub(super) fn take_snapshot_response(bytes: &mut Bytes) -> Result<SnapshotResponse<TypeConfig>> {
    Vote::parse(bytes).map(SnapshotResponse::new)
}

#[cfg(test)]
mod tests {
    use openraft::EntryPayload;

    use super::*;
    use crate::codec::log_id;

    #[test]
    fn errors_reach_the_client_of_another_member_unchanged() {
        for error in [
            Error::MemberNotFound,
            Error::InvalidArgument("a".to_owned()),
            Error::Unknown("b".to_owned()),
            Error::Unimplemented("c".to_owned()),
            Error::Unavailable("d".to_owned()),
            Error::Internal("e".to_owned()),
        ] {
            assert_eq!(Error::parse(&mut error.to_bytes()), Ok(error));
        }
    }

    #[test]
    fn an_append_with_a_hole_is_refused() {
        let entry = |index| Entry { log_id: log_id(2, index), payload: EntryPayload::Blank };
        let append = |prev: Option<u64>, indexes: &[u64]| {
            let request = AppendEntriesRequest {
                vote: Vote::new_committed(2, 1),
                prev_log_id: prev.map(|index| log_id(1, index)),
                leader_commit: None,
                entries: indexes.iter().map(|index| entry(*index)).collect(),
            };
            take_append(&mut put_append(&request)).is_ok()
        };
        assert!(append(None, &[0, 1]) && append(Some(4), &[5, 6, 7]) && append(Some(4), &[]));
        assert!(!append(None, &[1]) && !append(Some(4), &[6]) && !append(Some(4), &[5, 7]));
    }

    #[test]
    fn append_results_survive() {
        let results: [StreamAppendResult<TypeConfig>; 4] = [
            Ok(None),
            Ok(Some(log_id(2, 3))),
            Err(StreamAppendError::Conflict(log_id(1, 1))),
            Err(StreamAppendError::HigherVote(Vote::new(9, 1))),
        ];
        for result in results {
            assert_eq!(take_append_result(&mut put_append_result(&result)), Ok(result));
        }
    }

    #[test]
    fn votes_and_transfers_survive() {
        let mut vote = VoteRequest::new(Vote::new(3, 1), Some(log_id(2, 9)));
        vote.leadership_transfer = true;
        assert_eq!(take_vote_request(&mut put_vote_request(&vote)), Ok(vote));
        let response = VoteResponse::new(Vote::new(3, 1), None, true);
        assert_eq!(take_vote_response(&mut put_vote_response(&response)), Ok(response));
        let transfer = TransferLeaderRequest::new(Vote::new_committed(3, 1), 2, None);
        assert_eq!(take_transfer(&mut put_transfer(&transfer)), Ok(transfer));
    }
}
