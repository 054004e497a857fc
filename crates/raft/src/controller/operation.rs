//! What the leader is doing with the members, as it stands in the replicated state.
//!
//! An operation is recorded before it acts and closed after. Where it stands is not stored: it
//! follows from the record and the membership (see [`super::step`]), so the two cannot contradict
//! each other, and a new leader goes on from whatever its predecessor left.

use std::fmt;
use std::str::FromStr;

use bytes::{Bytes, BytesMut};
use store::MemberId;

use crate::codec::{DecodeError, Wire};

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// A new member comes in.
    Join,
    /// A new member takes the place of one whose disk is gone.
    Replace,
    /// A member is removed.
    Remove,
    /// A member leaves by itself.
    Leave,
    /// A member announced other peer URLs.
    Move,
    /// A learner gets its vote.
    Promote,
}

impl OperationKind {
    const ALL: [Self; 6] =
        [Self::Join, Self::Replace, Self::Remove, Self::Leave, Self::Move, Self::Promote];

    /// The name for people, in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Replace => "replace",
            Self::Remove => "remove",
            Self::Leave => "leave",
            Self::Move => "move",
            Self::Promote => "promote",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::Join => 1,
            Self::Replace => 2,
            Self::Remove => 3,
            Self::Leave => 4,
            Self::Move => 5,
            Self::Promote => 6,
        }
    }
}

/// Why a member is no more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RemovalReason {
    /// There are to be fewer members.
    ScaleIn,
    /// Another member took its place.
    Replaced,
    /// An operator removed it, or it never became a voter.
    #[default]
    Operator,
}

impl RemovalReason {
    const ALL: [Self; 3] = [Self::ScaleIn, Self::Replaced, Self::Operator];

    /// The name for people and for the admin socket.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ScaleIn => "scale-in",
            Self::Replaced => "replaced",
            Self::Operator => "operator",
        }
    }

    fn number(self) -> u8 {
        match self {
            Self::ScaleIn => 1,
            Self::Replaced => 2,
            Self::Operator => 3,
        }
    }
}

impl fmt::Display for RemovalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RemovalReason {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == text).ok_or_else(|| {
            format!("reason {text:?} is not known; use scale-in, replaced or operator")
        })
    }
}

/// A member that is no more. Its id is never used again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The id it had.
    pub id: MemberId,
    /// The name it had; empty when it never started.
    pub name: String,
    /// Why it was removed.
    pub reason: RemovalReason,
}

/// The open operation, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What is done.
    pub kind: OperationKind,
    /// With whom; of a replacement the new member.
    pub member: MemberId,
    /// Its name, as far as known.
    pub name: String,
    /// What is due next.
    pub phase: &'static str,
    /// When it was recorded, seconds since 1970 by the clock of the leader of then.
    pub started_s: u64,
    /// When it is rolled back unless it is done.
    pub deadline_s: u64,
}

/// The open operation as it stands in the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OpenOperation {
    /// Tells operations apart; random.
    pub(crate) id: u64,
    pub(crate) kind: OperationKind,
    pub(crate) member: u64,
    pub(crate) name: String,
    /// The member whose place is taken.
    pub(crate) replaces: Option<u64>,
    /// The disk that claimed, of a join or a replacement.
    pub(crate) incarnation: Option<[u8; 16]>,
    /// Where the member is reached, of a join, a replacement or a move.
    pub(crate) peer_urls: Vec<String>,
    /// Why a member goes, of a removal or a leave.
    pub(crate) reason: RemovalReason,
    pub(crate) started_s: u64,
    pub(crate) deadline_s: u64,
}

impl OpenOperation {
    /// Why `member` goes if it goes while this operation is open.
    pub(crate) fn reason_for(&self, member: u64) -> RemovalReason {
        match self.kind {
            OperationKind::Replace if self.replaces == Some(member) => RemovalReason::Replaced,
            OperationKind::Remove | OperationKind::Leave if self.member == member => self.reason,
            _ => RemovalReason::Operator,
        }
    }
}

/// A change of the open operation: takes effect only if `expected` is the one that is open, so that
/// of two leaders' records the later in the log is void.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) expected: Option<u64>,
    pub(crate) next: Option<OpenOperation>,
}

impl Wire for OperationKind {
    fn put(&self, buffer: &mut BytesMut) {
        self.number().put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let number = u8::parse(bytes)?;
        Self::ALL
            .into_iter()
            .find(|kind| kind.number() == number)
            .ok_or(DecodeError::Undefined("the kind of an operation"))
    }
}

impl Wire for RemovalReason {
    fn put(&self, buffer: &mut BytesMut) {
        self.number().put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        let number = u8::parse(bytes)?;
        Self::ALL
            .into_iter()
            .find(|reason| reason.number() == number)
            .ok_or(DecodeError::Undefined("the reason of a removal"))
    }
}

impl Wire for Tombstone {
    fn put(&self, buffer: &mut BytesMut) {
        self.id.0.put(buffer);
        self.name.put(buffer);
        self.reason.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            id: MemberId(u64::parse(bytes)?),
            name: String::parse(bytes)?,
            reason: RemovalReason::parse(bytes)?,
        })
    }
}

impl Wire for OpenOperation {
    fn put(&self, buffer: &mut BytesMut) {
        self.id.put(buffer);
        self.kind.put(buffer);
        self.member.put(buffer);
        self.name.put(buffer);
        self.replaces.put(buffer);
        self.incarnation.put(buffer);
        self.peer_urls.put(buffer);
        self.reason.put(buffer);
        self.started_s.put(buffer);
        self.deadline_s.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            id: u64::parse(bytes)?,
            kind: OperationKind::parse(bytes)?,
            member: u64::parse(bytes)?,
            name: String::parse(bytes)?,
            replaces: Option::parse(bytes)?,
            incarnation: Option::parse(bytes)?,
            peer_urls: Vec::parse(bytes)?,
            reason: RemovalReason::parse(bytes)?,
            started_s: u64::parse(bytes)?,
            deadline_s: u64::parse(bytes)?,
        })
    }
}

impl Wire for Record {
    fn put(&self, buffer: &mut BytesMut) {
        self.expected.put(buffer);
        self.next.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { expected: Option::parse(bytes)?, next: Option::parse(bytes)? })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn operation(kind: OperationKind) -> OpenOperation {
        OpenOperation {
            id: 77,
            kind,
            member: 9,
            name: "nine".to_owned(),
            replaces: (kind == OperationKind::Replace).then_some(3),
            incarnation: Some([4; 16]),
            peer_urls: vec!["http://127.0.0.1:9".to_owned()],
            reason: RemovalReason::ScaleIn,
            started_s: 1_000,
            deadline_s: 2_000,
        }
    }

    #[test]
    fn every_operation_survives_and_a_cut_one_is_refused() {
        for kind in OperationKind::ALL {
            let record = Record { expected: Some(1), next: Some(operation(kind)) };
            let encoded = record.to_bytes();
            assert_eq!(Record::parse(&mut encoded.clone()), Ok(record));
            for length in 0..encoded.len() {
                assert!(Record::parse(&mut encoded.slice(..length)).is_err());
            }
        }
    }

    #[test]
    fn a_reason_is_read_by_its_name_only() {
        for reason in RemovalReason::ALL {
            assert_eq!(reason.as_str().parse(), Ok(reason));
        }
        assert!("Scale-In".parse::<RemovalReason>().is_err());
    }

    #[test]
    fn only_the_member_an_operation_names_goes_for_its_reason() {
        assert_eq!(operation(OperationKind::Leave).reason_for(9), RemovalReason::ScaleIn);
        assert_eq!(operation(OperationKind::Leave).reason_for(3), RemovalReason::Operator);
        assert_eq!(operation(OperationKind::Replace).reason_for(3), RemovalReason::Replaced);
        // The newcomer of a replacement that is rolled back.
        assert_eq!(operation(OperationKind::Replace).reason_for(9), RemovalReason::Operator);
    }
}
