//! Reads of one key and lists of neighbouring keys.

use rand::Rng as _;

use crate::load::requests;
use crate::load::worker::Worker;
use crate::wire::{CallError, Fields, Keep, Method, Reply};

pub async fn client(worker: &Worker, number: usize, keys: u64, serializable: bool) {
    let (channel, keyspace) = (worker.channel(number), &worker.workload.keyspace);
    let mut rng = worker.rng(number);
    worker.ready().await;
    while let Some(started) = worker.next().await {
        let first = rng.random_range(0..=keyspace.count - keys);
        let frame = match keys {
            1 => requests::get(keyspace.key(first), serializable),
            _ => requests::list(keyspace.key(first), keyspace.key(first + keys), 0, serializable),
        };
        let reply = channel.call(Method::Range, frame, Keep::Head).await;
        let outcome = reply.and_then(|reply| check(&reply, keys, keyspace.key_bytes));
        worker.settle(started, &outcome).await;
    }
}

/// One key must be there; of a list, which is not decoded, at least so many bytes.
fn check(reply: &Reply, keys: u64, key_bytes: usize) -> Result<(), CallError> {
    if keys == 1 {
        let found = Fields::bytes(&reply.message, 2).is_some() || reply.bytes > reply.message.len();
        return if found {
            Ok(())
        } else {
            Err(CallError::Reply("key not found: load keys first"))
        };
    }
    match reply.bytes >= keys as usize * key_bytes {
        true => Ok(()),
        false => Err(CallError::Reply("keys missing in the list: load keys first")),
    }
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{RangeResponse, ResponseHeader};
    use api::mvccpb::KeyValue;
    use prost::Message;

    use super::*;

    fn reply(keys: usize) -> Reply {
        let header = ResponseHeader { revision: 5, ..Default::default() };
        let kv = KeyValue { key: vec![b'k'; 8].into(), ..Default::default() };
        let response = RangeResponse {
            header: Some(header),
            kvs: vec![kv; keys],
            count: keys as i64,
            ..Default::default()
        };
        let message: bytes::Bytes = response.encode_to_vec().into();
        Reply { bytes: message.len(), message }
    }

    #[test]
    fn missing_keys_are_errors_and_no_successes() {
        assert!(check(&reply(1), 1, 8).is_ok());
        assert!(check(&reply(0), 1, 8).is_err());
        assert!(check(&reply(100), 100, 8).is_ok());
        assert!(check(&reply(40), 100, 8).is_err());
    }
}
