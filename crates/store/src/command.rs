//! What stands in the log: a versioned command and who waits for its outcome.
//!
//! ```text
//! offset  size  field
//!      0     1  version of the command format, 1
//!      1     1  kind
//!      2     8  member that proposed it, little endian
//!     10     8  sequence number on that member, little endian
//!     18     n  body: for most kinds the client's own request, byte for byte
//! ```
//!
//! A member refuses a version or kind it does not know: it could only guess (design section 5).

use std::fmt;
use std::sync::Arc;

use api::etcdserverpb::{
    AlarmRequest, CompactionRequest, DeleteRangeRequest, LeaseGrantRequest, PutRequest, TxnRequest,
};
use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use thiserror::Error;

use crate::change::MemberAttributes;
use crate::ids::{LeaseId, MemberId};

/// The version this build writes, and the newest it reads.
pub const COMMAND_VERSION: u8 = 1;

const HEADER_BYTES: usize = 18;

/// Names a proposal so that its outcome finds the client that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandId {
    /// The member whose client waits.
    pub member: MemberId,
    /// Unique on that member since its process started, and apart from earlier processes.
    pub sequence: u64,
}

/// What a command does.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Write one key.
    Put(PutRequest),
    /// Delete a range of keys.
    DeleteRange(DeleteRangeRequest),
    /// Compare, then act.
    Txn(TxnRequest),
    /// Give up history.
    Compact(CompactionRequest),
    /// Grant a lease; the proposer has filled in the id and raised the TTL to the minimum.
    LeaseGrant(LeaseGrantRequest),
    /// Revoke leases, each in a revision of its own; unknown ones are an error only when alone.
    LeaseRevoke(Vec<LeaseId>),
    /// Raise or clear an alarm.
    Alarm(AlarmRequest),
    /// A member publishes its name and client URLs.
    MemberAttributes(MemberAttributes),
    /// The leader decides the cluster version.
    ClusterVersion(String),
    /// The leader records what it is about to do with the members. Opaque here: the raft layer
    /// keeps it beside the membership (docs/formats/peer.md), the store's state does not change.
    MembershipRecord(Bytes),
}

/// The kinds as they stand in the log. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommandKind {
    /// Body: `PutRequest`.
    Put = 1,
    /// Body: `DeleteRangeRequest`.
    DeleteRange = 2,
    /// Body: `TxnRequest`.
    Txn = 3,
    /// Body: `CompactionRequest`.
    Compact = 4,
    /// Body: `LeaseGrantRequest`.
    LeaseGrant = 5,
    /// Body: lease ids, 8 bytes little endian each.
    LeaseRevoke = 6,
    /// Body: `AlarmRequest`.
    Alarm = 7,
    /// Body: `Member` with id, name and client URLs.
    MemberAttributes = 8,
    /// Body: the version as UTF-8.
    ClusterVersion = 9,
    /// Body: the raft layer's own.
    MembershipRecord = 10,
}

impl CommandKind {
    fn from_byte(byte: u8) -> Result<Self, CommandError> {
        Ok(match byte {
            1 => Self::Put,
            2 => Self::DeleteRange,
            3 => Self::Txn,
            4 => Self::Compact,
            5 => Self::LeaseGrant,
            6 => Self::LeaseRevoke,
            7 => Self::Alarm,
            8 => Self::MemberAttributes,
            9 => Self::ClusterVersion,
            10 => Self::MembershipRecord,
            other => return Err(CommandError::Kind(other)),
        })
    }
}

/// A command is not one this build can apply.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CommandError {
    /// Shorter than its header.
    #[error("command of {0} bytes is shorter than its header")]
    Short(usize),
    /// Written by a newer release.
    #[error("command version {0} is newer than this release understands; upgrade this member")]
    Version(u8),
    /// Written by a newer release.
    #[error("command kind {0} is unknown to this release; upgrade this member")]
    Kind(u8),
    /// The body does not parse.
    #[error("command body does not parse: {0}")]
    Body(String),
}

/// A command as bytes for the log and as a value for the store; cloning shares both.
#[derive(Clone)]
pub struct Command(Arc<Inner>);

struct Inner {
    encoded: Bytes,
    id: CommandId,
    op: Op,
}

impl Command {
    /// Builds a command from a client's request bytes: copied once, right-sized, and decoded from
    /// that copy so that keys and values share its memory.
    ///
    /// # Errors
    /// When the request does not parse.
    pub fn from_request(
        id: CommandId,
        kind: CommandKind,
        raw: &[u8],
    ) -> Result<Self, CommandError> {
        let mut buffer = header(id, kind, raw.len());
        buffer.put_slice(raw);
        Self::decode(buffer.freeze())
    }

    /// Builds a command from its value.
    pub fn new(id: CommandId, op: Op) -> Self {
        let encoded = encode(id, &op);
        Self(Arc::new(Inner { encoded, id, op }))
    }

    /// Reads a command out of the log.
    ///
    /// # Errors
    /// When it was written by a newer release or is damaged.
    pub fn decode(encoded: Bytes) -> Result<Self, CommandError> {
        if encoded.len() < HEADER_BYTES {
            return Err(CommandError::Short(encoded.len()));
        }
        if encoded[0] != COMMAND_VERSION {
            return Err(CommandError::Version(encoded[0]));
        }
        let kind = CommandKind::from_byte(encoded[1])?;
        let id =
            CommandId { member: MemberId(u64_at(&encoded, 2)), sequence: u64_at(&encoded, 10) };
        let op = decode_body(kind, encoded.slice(HEADER_BYTES..))?;
        Ok(Self(Arc::new(Inner { encoded, id, op })))
    }

    /// The bytes for the log.
    pub fn encoded(&self) -> &Bytes {
        &self.0.encoded
    }

    /// Who waits.
    pub fn id(&self) -> CommandId {
        self.0.id
    }

    /// What to do.
    pub fn op(&self) -> &Op {
        &self.0.op
    }
}

impl fmt::Display for Command {
    /// Kind and size, never contents: this reaches logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.0.encoded.get(1).copied().unwrap_or_default();
        write!(f, "command kind {kind}, {} bytes", self.0.encoded.len())
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
}

fn header(id: CommandId, kind: CommandKind, body_bytes: usize) -> BytesMut {
    let mut buffer = BytesMut::with_capacity(HEADER_BYTES + body_bytes);
    buffer.put_u8(COMMAND_VERSION);
    buffer.put_u8(kind as u8);
    buffer.put_u64_le(id.member.0);
    buffer.put_u64_le(id.sequence);
    buffer
}

fn encode(id: CommandId, op: &Op) -> Bytes {
    match op {
        Op::Put(request) => encode_message(id, CommandKind::Put, request),
        Op::DeleteRange(request) => encode_message(id, CommandKind::DeleteRange, request),
        Op::Txn(request) => encode_message(id, CommandKind::Txn, request),
        Op::Compact(request) => encode_message(id, CommandKind::Compact, request),
        Op::LeaseGrant(request) => encode_message(id, CommandKind::LeaseGrant, request),
        Op::Alarm(request) => encode_message(id, CommandKind::Alarm, request),
        Op::LeaseRevoke(leases) => {
            let mut buffer = header(id, CommandKind::LeaseRevoke, leases.len() * 8);
            leases.iter().for_each(|lease| buffer.put_i64_le(lease.0));
            buffer.freeze()
        }
        Op::MemberAttributes(attributes) => {
            let member = api::etcdserverpb::Member {
                id: attributes.member.0,
                name: attributes.name.clone(),
                client_ur_ls: attributes.client_urls.clone(),
                ..Default::default()
            };
            encode_message(id, CommandKind::MemberAttributes, &member)
        }
        Op::ClusterVersion(version) => {
            let mut buffer = header(id, CommandKind::ClusterVersion, version.len());
            buffer.put_slice(version.as_bytes());
            buffer.freeze()
        }
        Op::MembershipRecord(record) => {
            let mut buffer = header(id, CommandKind::MembershipRecord, record.len());
            buffer.put_slice(record);
            buffer.freeze()
        }
    }
}

fn encode_message(id: CommandId, kind: CommandKind, message: &impl Message) -> Bytes {
    let mut buffer = header(id, kind, message.encoded_len());
    message.encode(&mut buffer).expect("a BytesMut grows");
    buffer.freeze()
}

fn decode_body(kind: CommandKind, body: Bytes) -> Result<Op, CommandError> {
    Ok(match kind {
        CommandKind::Put => Op::Put(message(body)?),
        CommandKind::DeleteRange => Op::DeleteRange(message(body)?),
        CommandKind::Txn => Op::Txn(message(body)?),
        CommandKind::Compact => Op::Compact(message(body)?),
        CommandKind::LeaseGrant => Op::LeaseGrant(message(body)?),
        CommandKind::Alarm => Op::Alarm(message(body)?),
        CommandKind::LeaseRevoke => Op::LeaseRevoke(lease_ids(&body)?),
        CommandKind::MemberAttributes => {
            let member: api::etcdserverpb::Member = message(body)?;
            Op::MemberAttributes(MemberAttributes {
                member: MemberId(member.id),
                name: member.name,
                client_urls: member.client_ur_ls,
            })
        }
        CommandKind::ClusterVersion => Op::ClusterVersion(
            String::from_utf8(body.to_vec())
                .map_err(|error| CommandError::Body(error.to_string()))?,
        ),
        CommandKind::MembershipRecord => Op::MembershipRecord(body),
    })
}

fn message<M: Message + Default>(body: Bytes) -> Result<M, CommandError> {
    M::decode(body).map_err(|error| CommandError::Body(error.to_string()))
}

fn lease_ids(body: &[u8]) -> Result<Vec<LeaseId>, CommandError> {
    let chunks = body.chunks_exact(8);
    if !chunks.remainder().is_empty() {
        return Err(CommandError::Body("lease ids are not eight bytes each".to_owned()));
    }
    Ok(chunks.map(|id| LeaseId(i64::from_le_bytes(id.try_into().expect("eight bytes")))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: CommandId = CommandId { member: MemberId(7), sequence: 9 };

    fn put() -> PutRequest {
        PutRequest { key: "k".into(), value: "v".into(), ..Default::default() }
    }

    #[test]
    fn every_kind_survives_the_log() {
        let ops = [
            Op::Put(put()),
            Op::DeleteRange(DeleteRangeRequest { key: "k".into(), ..Default::default() }),
            Op::Txn(TxnRequest::default()),
            Op::Compact(CompactionRequest { revision: 4, physical: true }),
            Op::LeaseGrant(LeaseGrantRequest { ttl: 5, id: 6 }),
            Op::LeaseRevoke(vec![LeaseId(1), LeaseId(-2)]),
            Op::Alarm(AlarmRequest { member_id: 3, ..Default::default() }),
            Op::MemberAttributes(MemberAttributes {
                member: MemberId(1),
                name: "one".to_owned(),
                client_urls: vec!["http://127.0.0.1:2379".to_owned()],
            }),
            Op::ClusterVersion("3.7.0".to_owned()),
            Op::MembershipRecord("opaque".into()),
        ];
        for op in ops {
            let command = Command::new(ID, op.clone());
            let read = Command::decode(command.encoded().clone()).expect("our own bytes");
            assert_eq!((read.op(), read.id()), (&op, ID));
        }
    }

    #[test]
    fn request_bytes_are_kept_as_the_client_sent_them() {
        let raw = put().encode_to_vec();
        let command = Command::from_request(ID, CommandKind::Put, &raw).expect("a valid request");
        assert_eq!(&command.encoded()[HEADER_BYTES..], raw);
        assert_eq!(command.op(), &Op::Put(put()));
    }

    #[test]
    fn what_a_newer_release_wrote_is_refused_not_guessed() {
        let mut bytes = Command::new(ID, Op::Put(put())).encoded().to_vec();
        bytes[0] = COMMAND_VERSION + 1;
        assert_eq!(
            Command::decode(bytes.clone().into()).unwrap_err(),
            CommandError::Version(COMMAND_VERSION + 1)
        );
        bytes[0] = COMMAND_VERSION;
        bytes[1] = 200;
        assert_eq!(Command::decode(bytes.into()).unwrap_err(), CommandError::Kind(200));
    }
}
