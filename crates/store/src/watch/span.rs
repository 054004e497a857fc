//! The keys a watcher asks for, after etcd's special cases have been resolved.

use bytes::Bytes;

/// Where a range stops; ordered, with the end of the key space last.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum End {
    /// Before this key.
    Before(Bytes),
    /// Nowhere: all keys from the start on.
    Unbounded,
}

impl End {
    /// Whether `key` lies before the end.
    pub(super) fn is_after(&self, key: &[u8]) -> bool {
        match self {
            Self::Before(end) => key < &end[..],
            Self::Unbounded => true,
        }
    }
}

/// One key or a range of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// Exactly this key.
    Key(Bytes),
    /// From the key on, until the end; never empty.
    Range(Bytes, End),
}

impl Span {
    /// Reads `key` and `range_end` of a create request: an empty key stands for the first possible
    /// one (`\0`), an empty range end for a single key, a range end of `\0` for no end. `None` when
    /// the range is empty. The bytes are copied, so that the request's buffer is not kept.
    pub(super) fn from_request(key: &[u8], range_end: &[u8]) -> Option<Self> {
        let start = Bytes::copy_from_slice(if key.is_empty() { b"\0" } else { key });
        match range_end {
            b"" => Some(Self::Key(start)),
            b"\0" => Some(Self::Range(start, End::Unbounded)),
            end if &start[..] < end => {
                Some(Self::Range(start, End::Before(Bytes::copy_from_slice(end))))
            }
            _ => None,
        }
    }

    /// Whether `key` is asked for.
    pub(super) fn contains(&self, key: &[u8]) -> bool {
        match self {
            Self::Key(own) => &own[..] == key,
            Self::Range(start, end) => &start[..] <= key && end.is_after(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_ranges_are_read_as_etcd_does() {
        let key = Bytes::from_static;
        assert_eq!(Span::from_request(b"a", b""), Some(Span::Key(key(b"a"))));
        assert_eq!(Span::from_request(b"", b""), Some(Span::Key(key(b"\0"))));
        assert_eq!(Span::from_request(b"", b"\0"), Some(Span::Range(key(b"\0"), End::Unbounded)));
        assert_eq!(
            Span::from_request(b"a", b"b"),
            Some(Span::Range(key(b"a"), End::Before(key(b"b"))))
        );
        assert_eq!(Span::from_request(b"b", b"a"), None);
        assert_eq!(Span::from_request(b"b", b"b"), None);
    }
}
