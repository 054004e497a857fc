//! A claim: a directory without a member asks to become one.

use bytes::{Bytes, BytesMut};
use storage::Incarnation;

use crate::codec::{DecodeError, Wire};
use crate::types::StoredMembership;

/// Texts and lists of a claim are bounded, because anybody who reaches the peer port may send one.
const NAME_BYTES_MAX: usize = 256;
pub(super) const URLS_MAX: usize = 32;
pub(super) const URL_BYTES_MAX: usize = 1024;

/// What the claimant believes it asks for. The leader decides by what it knows; this is for its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClaimKind {
    /// Nobody has its name or addresses.
    Join,
    /// It was this member, and its disk is gone.
    ReplaceSelf,
}

/// Who wants to become a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    pub(crate) client_urls: Vec<String>,
    pub(crate) incarnation: Incarnation,
    pub(crate) kind: ClaimKind,
}

impl Claim {
    /// What is wrong with it, apart from who else is there.
    pub(super) fn fault(&self) -> Option<&'static str> {
        let urls = || self.peer_urls.iter().chain(&self.client_urls);
        if self.name.is_empty() || self.name.len() > NAME_BYTES_MAX {
            return Some("the name is empty or longer than 256 bytes");
        }
        if self.peer_urls.is_empty() {
            return Some("there is no peer URL");
        }
        (urls().count() > URLS_MAX || urls().any(|url| url.len() > URL_BYTES_MAX))
            .then_some("there are more than 32 URLs, or one is longer than 1024 bytes")
    }
}

/// What a claimant is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimAnswer {
    /// It is a member now; it may start as a learner.
    Granted { cluster: u64, member: u64, members: Vec<KnownMember> },
    /// Not now.
    Wait { reason: String, after_ms: u64 },
    /// Not as things are.
    Refuse { reason: String },
}

/// A member as others are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownMember {
    pub(crate) id: u64,
    pub(crate) peer_urls: Vec<String>,
    pub(crate) incarnation: Option<[u8; 16]>,
}

/// The members of a membership as others are told of them.
pub(crate) fn known_members(membership: &StoredMembership) -> Vec<KnownMember> {
    membership
        .nodes()
        .map(|(id, peer)| KnownMember {
            id: *id,
            peer_urls: peer.peer_urls.clone(),
            incarnation: peer.incarnation,
        })
        .collect()
}

impl Wire for KnownMember {
    fn put(&self, buffer: &mut BytesMut) {
        self.id.put(buffer);
        self.peer_urls.put(buffer);
        self.incarnation.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            id: u64::parse(bytes)?,
            peer_urls: Vec::parse(bytes)?,
            incarnation: Option::parse(bytes)?,
        })
    }
}

impl Wire for Claim {
    fn put(&self, buffer: &mut BytesMut) {
        self.name.put(buffer);
        self.peer_urls.put(buffer);
        self.client_urls.put(buffer);
        self.incarnation.0.put(buffer);
        u8::from(self.kind == ClaimKind::ReplaceSelf).put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            name: String::parse(bytes)?,
            peer_urls: Vec::parse(bytes)?,
            client_urls: Vec::parse(bytes)?,
            incarnation: Incarnation(Wire::parse(bytes)?),
            kind: match u8::parse(bytes)? {
                0 => ClaimKind::Join,
                1 => ClaimKind::ReplaceSelf,
                _ => return Err(DecodeError::Undefined("the kind of a claim")),
            },
        })
    }
}

impl Wire for ClaimAnswer {
    fn put(&self, buffer: &mut BytesMut) {
        match self {
            Self::Granted { cluster, member, members } => {
                0u8.put(buffer);
                cluster.put(buffer);
                member.put(buffer);
                members.put(buffer);
            }
            Self::Wait { reason, after_ms } => {
                1u8.put(buffer);
                reason.put(buffer);
                after_ms.put(buffer);
            }
            Self::Refuse { reason } => {
                2u8.put(buffer);
                reason.put(buffer);
            }
        }
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(match u8::parse(bytes)? {
            0 => Self::Granted {
                cluster: u64::parse(bytes)?,
                member: u64::parse(bytes)?,
                members: Vec::parse(bytes)?,
            },
            1 => Self::Wait { reason: String::parse(bytes)?, after_ms: u64::parse(bytes)? },
            2 => Self::Refuse { reason: String::parse(bytes)? },
            _ => return Err(DecodeError::Undefined("the answer to a claim")),
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::controller) fn claim() -> Claim {
        Claim {
            name: "new".to_owned(),
            peer_urls: vec!["http://127.0.0.1:7".to_owned()],
            client_urls: Vec::new(),
            incarnation: Incarnation([7; 16]),
            kind: ClaimKind::Join,
        }
    }

    #[test]
    fn claims_and_their_answers_survive() {
        let replace = Claim { kind: ClaimKind::ReplaceSelf, ..claim() };
        for claim in [claim(), replace] {
            assert_eq!(Claim::parse(&mut claim.to_bytes()), Ok(claim));
        }
        let known = KnownMember { id: 1, peer_urls: Vec::new(), incarnation: Some([1; 16]) };
        for answer in [
            ClaimAnswer::Granted { cluster: 1, member: 2, members: vec![known] },
            ClaimAnswer::Wait { reason: "a".to_owned(), after_ms: 3 },
            ClaimAnswer::Refuse { reason: "b".to_owned() },
        ] {
            assert_eq!(ClaimAnswer::parse(&mut answer.to_bytes()), Ok(answer));
        }
    }

    #[test]
    fn a_claim_without_name_or_address_or_without_bounds_is_at_fault() {
        assert_eq!(claim().fault(), None);
        let url = "http://127.0.0.1:7".to_owned();
        for faulty in [
            Claim { name: String::new(), ..claim() },
            Claim { name: "n".repeat(NAME_BYTES_MAX + 1), ..claim() },
            Claim { peer_urls: Vec::new(), ..claim() },
            Claim { client_urls: vec![url; URLS_MAX], ..claim() },
            Claim { peer_urls: vec!["u".repeat(URL_BYTES_MAX + 1)], ..claim() },
        ] {
            assert!(faulty.fault().is_some(), "{faulty:?}");
        }
    }
}
