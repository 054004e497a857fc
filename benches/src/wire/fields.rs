//! Walks over the fields of a protobuf message without decoding it.

/// The content of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Wire type 0.
    Number(u64),
    /// Wire type 2: a string, bytes or a message.
    Bytes(&'a [u8]),
}

/// Iterator over the fields of one message, in wire order. Ends early at the first thing it does
/// not understand (etcd's replies hold only numbers and length-delimited fields).
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// Walks over `message`.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    /// The first field with this tag that holds bytes.
    pub fn bytes(message: &'a [u8], tag: u64) -> Option<&'a [u8]> {
        Self::new(message).find_map(|(found, value)| match value {
            Value::Bytes(bytes) if found == tag => Some(bytes),
            _ => None,
        })
    }

    /// The first field with this tag that holds a number; None where it is absent (so 0).
    pub fn number(message: &'a [u8], tag: u64) -> Option<u64> {
        Self::new(message).find_map(|(found, value)| match value {
            Value::Number(number) if found == tag => Some(number),
            _ => None,
        })
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for position in 0..10 {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << (7 * position);
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = (u64, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{PutResponse, ResponseHeader};
    use prost::Message;

    use super::*;

    #[test]
    fn finds_what_prost_wrote() {
        let header =
            ResponseHeader { cluster_id: u64::MAX, member_id: 7, revision: 300, raft_term: 2 };
        let message = PutResponse { header: Some(header), prev_kv: None }.encode_to_vec();
        let header = Fields::bytes(&message, 1).unwrap();
        assert_eq!(Fields::number(header, 1), Some(u64::MAX));
        assert_eq!(Fields::number(header, 3), Some(300));
        assert_eq!(Fields::number(header, 9), None);
    }

    #[test]
    fn cut_messages_end_the_walk() {
        assert_eq!(Fields::new(&[0x0a, 0x05, 1, 2]).next(), None);
        assert_eq!(Fields::new(&[0x80; 11]).next(), None);
    }
}
