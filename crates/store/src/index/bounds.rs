//! The keys a request names.

use bytes::Bytes;

/// Keys from `start` up to and without `end`; no `end` means no bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// First key.
    pub start: Bytes,
    /// First key that is no longer meant.
    pub end: Option<Bytes>,
    /// The request names exactly one key, `start`.
    pub single: bool,
}

impl Bounds {
    /// Reads key and range_end as etcd does (etcd-surface 1.4): no range_end is a single key, a
    /// zero byte is no bound.
    pub fn new(key: &Bytes, range_end: &Bytes) -> Self {
        let end = match range_end.as_ref() {
            [] | [0] => None,
            _ => Some(range_end.clone()),
        };
        Self { start: key.clone(), end, single: range_end.is_empty() }
    }

    /// Whether `key`, which is not before `start`, is past the last key meant.
    pub fn ends_before(&self, key: &[u8]) -> bool {
        if self.single {
            return key != self.start;
        }
        self.end.as_ref().is_some_and(|end| key >= end.as_ref())
    }

    /// Whether no key can be meant at all.
    pub fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    /// The keys that follow `key`.
    pub fn after(&self, key: &[u8]) -> Self {
        let mut start = Vec::with_capacity(key.len() + 1);
        start.extend_from_slice(key);
        start.push(0);
        Self { start: start.into(), end: self.end.clone(), single: false }
    }
}
