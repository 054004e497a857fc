//! Watches and the puts they see. Each value carries the time of its put, so a delivery's latency
//! spans the put, its commit and the way to the watcher.

use bytes::{BufMut, Bytes, BytesMut};

use crate::load::requests;
use crate::load::worker::Worker;
use crate::load::workload::STAMP_BYTES;
use crate::wire::{CallError, Fields, Keep, Method, Stream, Value, header_revision};

/// WatchResponse.created, canceled, events; Event.kv; KeyValue.value.
const CREATED: u64 = 3;
const CANCELED: u64 = 4;
const EVENTS: u64 = 11;
const EVENT_KV: u64 = 2;
const KV_VALUE: u64 = 5;

/// Puts stamped values as fast as the pace allows. What counts is the delivery, so only failures
/// of the puts are noted.
pub async fn writer(worker: &Worker, number: usize) {
    let (channel, keyspace) = (worker.channel(number), &worker.workload.keyspace);
    let mut rng = worker.rng(number);
    worker.ready().await;
    while worker.next().await.is_some() {
        let key = keyspace.key(keyspace.random(&mut rng));
        let frame = requests::put(key, stamped(worker));
        if let Err(error) = channel.call(Method::Put, frame, Keep::Head).await {
            worker.broke(&error);
        }
    }
}

/// Watches the whole keyspace `watches` times on one stream and measures each event.
pub async fn measure(worker: &Worker, number: usize, watches: usize) {
    let mut seen = |event: &[u8]| {
        let value = Fields::bytes(event, EVENT_KV).and_then(|kv| Fields::bytes(kv, KV_VALUE));
        worker.delivered(value.unwrap_or_default());
    };
    listen(worker, number, watches, &mut seen).await;
}

/// Watches the whole keyspace and drops what comes.
pub async fn drain(worker: &Worker, number: usize) {
    listen(worker, number, 1, &mut |_| {}).await;
}

async fn listen(worker: &Worker, number: usize, watches: usize, seen: &mut dyn FnMut(&[u8])) {
    let Some(mut stream) = worker.set_up(open(worker, number, watches)).await else { return };
    worker.shared.add_ready();
    let error = loop {
        match stream.next().await {
            Ok(Some(message)) => {
                if let Err(error) = each_event(&message, seen) {
                    break error;
                }
            }
            Ok(None) => break CallError::Reply("watch stream ended"),
            Err(error) => break error,
        }
    };
    worker.broke(&error);
}

async fn open(worker: &Worker, number: usize, watches: usize) -> Result<Stream, CallError> {
    let keyspace = &worker.workload.keyspace;
    let mut stream = worker.channel(number).stream(Method::Watch).await?;
    // One after the other; nobody puts yet, so nothing but the answers can arrive.
    for _ in 0..watches {
        stream.send(requests::watch(keyspace.key(0), keyspace.key(keyspace.count)))?;
        let created = stream.next().await?.ok_or(CallError::Reply("watch stream ended"))?;
        if Fields::number(&created, CREATED) != Some(1) {
            return Err(CallError::Reply("watch was not created"));
        }
    }
    Ok(stream)
}

fn each_event(watch_response: &[u8], seen: &mut dyn FnMut(&[u8])) -> Result<(), CallError> {
    header_revision(watch_response)?;
    for (tag, value) in Fields::new(watch_response) {
        match value {
            Value::Bytes(event) if tag == EVENTS => seen(event),
            Value::Number(1) if tag == CANCELED => {
                return Err(CallError::Reply("watch was canceled"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn stamped(worker: &Worker) -> Bytes {
    let mut value = BytesMut::with_capacity(worker.value.len());
    value.put_u64_le(worker.shared.stamp_ns());
    value.extend_from_slice(&worker.value[STAMP_BYTES..]);
    value.freeze()
}

#[cfg(test)]
mod tests {
    use api::etcdserverpb::{ResponseHeader, WatchResponse};
    use api::mvccpb::{Event, KeyValue};
    use prost::Message;

    use super::*;

    fn response(canceled: bool) -> Vec<u8> {
        let header = ResponseHeader { revision: 9, ..Default::default() };
        let event = |value: &'static str| Event {
            kv: Some(KeyValue { value: value.into(), ..Default::default() }),
            ..Default::default()
        };
        let events = vec![event("one"), event("two")];
        let header = Some(header);
        WatchResponse { header, canceled, events, ..Default::default() }.encode_to_vec()
    }

    #[test]
    fn every_event_of_a_batch_is_seen() {
        let mut values = Vec::new();
        let mut seen = |event: &[u8]| {
            let kv = Fields::bytes(event, EVENT_KV).unwrap();
            values.push(Fields::bytes(kv, KV_VALUE).unwrap().to_vec());
        };
        each_event(&response(false), &mut seen).unwrap();
        assert_eq!(values, [b"one", b"two"]);
    }

    #[test]
    fn a_canceled_watch_is_an_error() {
        assert!(each_event(&response(true), &mut |_| {}).is_err());
    }
}
