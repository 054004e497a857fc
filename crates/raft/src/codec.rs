//! The encoding of everything raft puts on disk or on the wire, apart from commands.
//!
//! Integers are little endian; lists and byte strings are preceded by their length in 4 bytes;
//! optional parts by a byte 0 or 1. Layouts: docs/formats/peer.md.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use openraft::type_config::alias::CommittedLeaderIdOf;
use store::Command;
use thiserror::Error;

use crate::types::{Entry, LogId, Membership, Payload, Peer, StoredMembership, TypeConfig, Vote};

/// Bytes from disk or from a peer do not have the documented form.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum DecodeError {
    /// They end too early.
    #[error("message ends in the middle of {0}")]
    Short(&'static str),
    /// A field has a value that is not defined.
    #[error("{0} has an undefined value")]
    Undefined(&'static str),
    /// The command inside is not one this release can apply.
    #[error(transparent)]
    Command(#[from] store::CommandError),
}

type Result<T> = std::result::Result<T, DecodeError>;

/// An entry's kind as the log and the wire know it.
pub(crate) const ENTRY_BLANK: u8 = 0;
pub(crate) const ENTRY_COMMAND: u8 = 1;
pub(crate) const ENTRY_MEMBERSHIP: u8 = 2;

/// Something with a documented encoding.
pub(crate) trait Wire: Sized {
    /// Appends the encoding.
    fn put(&self, buffer: &mut BytesMut);
    /// Takes the encoding off the front of `bytes`.
    fn parse(bytes: &mut Bytes) -> Result<Self>;

    /// The encoding on its own.
    fn to_bytes(&self) -> Bytes {
        let mut buffer = BytesMut::new();
        self.put(&mut buffer);
        buffer.freeze()
    }
}

impl Wire for u8 {
    fn put(&self, buffer: &mut BytesMut) {
        buffer.put_u8(*self);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        bytes.try_get_u8().map_err(|_| DecodeError::Short("a byte"))
    }
}

impl Wire for u64 {
    fn put(&self, buffer: &mut BytesMut) {
        buffer.put_u64_le(*self);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        bytes.try_get_u64_le().map_err(|_| DecodeError::Short("a number"))
    }
}

impl Wire for [u8; 16] {
    fn put(&self, buffer: &mut BytesMut) {
        buffer.put_slice(self);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let mut value = [0; 16];
        bytes.try_copy_to_slice(&mut value).map_err(|_| DecodeError::Short("sixteen bytes"))?;
        Ok(value)
    }
}

impl Wire for bool {
    fn put(&self, buffer: &mut BytesMut) {
        buffer.put_u8(u8::from(*self));
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        match u8::parse(bytes)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Undefined("a flag")),
        }
    }
}

impl Wire for Bytes {
    fn put(&self, buffer: &mut BytesMut) {
        put_length(self.len(), buffer);
        buffer.put_slice(self);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let length = take_length(bytes)?;
        if bytes.len() < length {
            return Err(DecodeError::Short("a byte string"));
        }
        Ok(bytes.split_to(length))
    }
}

impl Wire for String {
    fn put(&self, buffer: &mut BytesMut) {
        put_length(self.len(), buffer);
        buffer.put_slice(self.as_bytes());
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let raw = Bytes::parse(bytes)?;
        String::from_utf8(raw.to_vec()).map_err(|_| DecodeError::Undefined("a text"))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, buffer: &mut BytesMut) {
        self.is_some().put(buffer);
        if let Some(value) = self {
            value.put(buffer);
        }
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        if bool::parse(bytes)? { T::parse(bytes).map(Some) } else { Ok(None) }
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, buffer: &mut BytesMut) {
        put_length(self.len(), buffer);
        self.iter().for_each(|item| item.put(buffer));
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let length = take_length(bytes)?;
        // Every item takes at least a byte, so a false length cannot make us reserve much.
        let mut items = Vec::with_capacity(length.min(bytes.len()));
        for _ in 0..length {
            items.push(T::parse(bytes)?);
        }
        Ok(items)
    }
}

impl Wire for LogId {
    fn put(&self, buffer: &mut BytesMut) {
        self.leader_id.term.put(buffer);
        self.index.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        Ok(log_id(u64::parse(bytes)?, u64::parse(bytes)?))
    }
}

impl Wire for Vote {
    fn put(&self, buffer: &mut BytesMut) {
        self.leader_id().term.put(buffer);
        self.leader_id().voted_for.put(buffer);
        self.is_committed().put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let (term, member) = (u64::parse(bytes)?, u64::parse(bytes)?);
        Ok(if bool::parse(bytes)? {
            Self::new_committed(term, member)
        } else {
            Self::new(term, member)
        })
    }
}

impl Wire for Peer {
    fn put(&self, buffer: &mut BytesMut) {
        self.peer_urls.put(buffer);
        self.becomes_voter.put(buffer);
        self.incarnation.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        Ok(Self {
            peer_urls: Vec::parse(bytes)?,
            becomes_voter: bool::parse(bytes)?,
            incarnation: Option::parse(bytes)?,
        })
    }
}

impl Wire for Membership {
    fn put(&self, buffer: &mut BytesMut) {
        let configs = self.get_joint_config();
        put_length(configs.len(), buffer);
        for config in configs {
            config.iter().copied().collect::<Vec<u64>>().put(buffer);
        }
        let nodes: Vec<_> = self.nodes().collect();
        put_length(nodes.len(), buffer);
        for (id, peer) in nodes {
            id.put(buffer);
            peer.put(buffer);
        }
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let configs: Vec<Vec<u64>> = Vec::parse(bytes)?;
        let mut nodes = BTreeMap::new();
        for _ in 0..take_length(bytes)? {
            nodes.insert(u64::parse(bytes)?, Peer::parse(bytes)?);
        }
        let configs = configs.into_iter().map(BTreeSet::from_iter).collect();
        Self::new(configs, nodes).map_err(|_| DecodeError::Undefined("a membership"))
    }
}

impl Wire for StoredMembership {
    fn put(&self, buffer: &mut BytesMut) {
        self.log_id().put(buffer);
        // The empty membership of a state that never saw one is not a valid one for openraft.
        let known = self.membership().nodes().next().is_some();
        known.put(buffer);
        if known {
            self.membership().put(buffer);
        }
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let log_id = Option::parse(bytes)?;
        Ok(if bool::parse(bytes)? {
            Self::new(log_id, Membership::parse(bytes)?)
        } else {
            Self::default()
        })
    }
}

impl Wire for Entry {
    fn put(&self, buffer: &mut BytesMut) {
        self.log_id.put(buffer);
        let (kind, payload) = encode_payload(&self.payload);
        kind.put(buffer);
        payload.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self> {
        let log_id = LogId::parse(bytes)?;
        let kind = u8::parse(bytes)?;
        let payload = decode_payload(kind, Bytes::parse(bytes)?)?;
        Ok(Self { log_id, payload })
    }
}

/// An entry's kind and body; a command's body is shared, not copied.
pub(crate) fn encode_payload(payload: &Payload) -> (u8, Bytes) {
    match payload {
        Payload::Blank => (ENTRY_BLANK, Bytes::new()),
        Payload::Normal(command) => (ENTRY_COMMAND, command.encoded().clone()),
        Payload::Membership(membership) => (ENTRY_MEMBERSHIP, membership.to_bytes()),
    }
}

/// The inverse of [`encode_payload`].
pub(crate) fn decode_payload(kind: u8, mut body: Bytes) -> Result<Payload> {
    Ok(match kind {
        ENTRY_BLANK => Payload::Blank,
        ENTRY_COMMAND => Payload::Normal(Command::decode(right_sized(body))?),
        ENTRY_MEMBERSHIP => Payload::Membership(Membership::parse(&mut body)?),
        _ => return Err(DecodeError::Undefined("an entry kind")),
    })
}

/// A slice of a network frame would keep the whole frame alive for as long as the entry lives.
fn right_sized(body: Bytes) -> Bytes {
    Bytes::copy_from_slice(&body)
}

/// The position `index` in `term`.
pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId { leader_id: CommittedLeaderIdOf::<TypeConfig>::new(term), index }
}

pub(crate) fn put_length(length: usize, buffer: &mut BytesMut) {
    buffer.put_u32_le(u32::try_from(length).expect("messages are bounded far below 4 GiB"));
}

pub(crate) fn take_length(bytes: &mut Bytes) -> Result<usize> {
    bytes.try_get_u32_le().map(|length| length as usize).map_err(|_| DecodeError::Short("a length"))
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use store::{CommandId, MemberId, Op};

    use super::*;

    fn survives<T: Wire + PartialEq + Debug>(value: T) {
        let encoded = value.to_bytes();
        let mut rest = encoded.clone();
        assert_eq!(T::parse(&mut rest).expect("our own bytes"), value);
        assert!(rest.is_empty());
        for length in 0..encoded.len() {
            assert!(T::parse(&mut encoded.slice(..length)).is_err(), "cut at {length}");
        }
    }

    fn membership() -> Membership {
        let peer = |id: u64| Peer {
            peer_urls: vec!["http://127.0.0.1:2380".to_owned()],
            becomes_voter: true,
            incarnation: (id > 1).then_some([7; 16]),
        };
        Membership::new(
            vec![BTreeSet::from([1, 2]), BTreeSet::from([2, 3])],
            (1..=4).map(|id| (id, peer(id))).collect::<BTreeMap<_, _>>(),
        )
        .expect("voters have nodes")
    }

    #[test]
    fn what_is_written_is_read_and_what_is_cut_is_refused() {
        survives(log_id(3, 9));
        survives(Some(log_id(3, 9)));
        survives(Vote::new(4, 2));
        survives(Vote::new_committed(4, 2));
        survives(membership());
        survives(StoredMembership::new(Some(log_id(1, 1)), membership()));
        survives(StoredMembership::default());
        survives(vec!["a".to_owned(), String::new()]);
    }

    #[test]
    fn entries_of_every_kind_survive() {
        let command = Command::new(
            CommandId { member: MemberId(1), sequence: 2 },
            Op::ClusterVersion("3.7.0".to_owned()),
        );
        for payload in [Payload::Blank, Payload::Normal(command), Payload::Membership(membership())]
        {
            let entry = Entry { log_id: log_id(2, 5), payload };
            let mut encoded = entry.to_bytes();
            let read = Entry::parse(&mut encoded).expect("our own bytes");
            assert_eq!(read.log_id, entry.log_id);
            assert_eq!(encode_payload(&read.payload), encode_payload(&entry.payload));
        }
    }
}
