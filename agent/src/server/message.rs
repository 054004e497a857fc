//! Reads the one message of a unary call off the request body.

use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http_body::Body;
use tonic::Code;

use super::frame::PREFIX_BYTES;
use super::status::Failure;

/// How long the rest of a request may take to arrive once its first bytes did; a client that stops
/// in the middle of a frame holds nothing longer than this.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Bytes kept ready for a message whose announced length has not arrived yet: a client must send
/// what it announces before memory is given to it.
const FIRST_RESERVE_BYTES: usize = 16 * 1024;

/// Reads one length-prefixed message.
///
/// The usual message arrives in one piece and is returned without a copy.
///
/// # Errors
/// `ResourceExhausted` above `bytes_max` with grpc-go's text, `Internal` for a compressed or a
/// truncated message, `DeadlineExceeded` when it does not arrive.
pub async fn read<B>(body: &mut B, bytes_max: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    tokio::time::timeout(ARRIVAL_TIMEOUT, read_whole(body, bytes_max))
        .await
        .unwrap_or_else(|_| Err(Failure::new(Code::DeadlineExceeded, "the request did not arrive")))
}

async fn read_whole<B>(body: &mut B, bytes_max: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let Some(first) = next_data(body).await? else {
        return Err(truncated());
    };
    let message = match split(first, bytes_max)? {
        Split::Whole(message) => message,
        Split::Part(part) => read_rest(part, body, bytes_max).await?,
    };
    drain(body).await?;
    Ok(message)
}

/// Reads up to the end of the request, which usually has come already: leaving earlier would reset
/// the stream under the answer.
async fn drain<B>(body: &mut B) -> Result<(), Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return Ok(());
    }
    match next_data(body).await? {
        None => Ok(()),
        Some(_) => Err(Failure::new(Code::Internal, "grpc: more than one message in a unary call")),
    }
}

async fn read_rest<B>(part: Bytes, body: &mut B, bytes_max: usize) -> Result<Bytes, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    let mut buffer = BytesMut::with_capacity(FIRST_RESERVE_BYTES);
    buffer.extend_from_slice(&part);
    loop {
        let Some(data) = next_data(body).await? else {
            return Err(truncated());
        };
        buffer.extend_from_slice(&data);
        if let Some(length) = announced(&buffer, bytes_max)?
            && buffer.len() >= PREFIX_BYTES + length
        {
            buffer.advance(PREFIX_BYTES);
            buffer.truncate(length);
            return Ok(buffer.freeze());
        }
    }
}

enum Split {
    Whole(Bytes),
    Part(Bytes),
}

fn split(mut data: Bytes, bytes_max: usize) -> Result<Split, Failure> {
    match announced(&data, bytes_max)? {
        Some(length) if data.len() >= PREFIX_BYTES + length => {
            data.advance(PREFIX_BYTES);
            data.truncate(length);
            Ok(Split::Whole(data))
        }
        _ => Ok(Split::Part(data)),
    }
}

/// The length in the prefix; `None` while the prefix is not complete.
///
/// # Errors
/// See [`read`].
pub fn announced(data: &[u8], bytes_max: usize) -> Result<Option<usize>, Failure> {
    let Some((&[compressed, a, b, c, d], _)) = data.split_first_chunk::<PREFIX_BYTES>() else {
        return Ok(None);
    };
    if compressed != 0 {
        return Err(Failure::new(
            Code::Unimplemented,
            "grpc: Decompressor is not installed: send the message uncompressed",
        ));
    }
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length > bytes_max {
        let text = format!("grpc: received message larger than max ({length} vs. {bytes_max})");
        return Err(Failure::new(Code::ResourceExhausted, text));
    }
    Ok(Some(length))
}

fn truncated() -> Failure {
    Failure::new(Code::Internal, "grpc: the request ended before its message was complete")
}

async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, Failure>
where
    B: Body<Data = Bytes> + Unpin,
{
    loop {
        match std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await {
            None => return Ok(None),
            Some(Err(_)) => {
                return Err(Failure::new(Code::Cancelled, "grpc: the client went away"));
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) if data.is_empty() => {}
                Ok(data) => return Ok(Some(data)),
                Err(_trailers) => return Ok(None),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full, StreamBody};
    use proptest::prelude::*;

    use super::*;

    fn pieces(parts: Vec<Bytes>) -> impl Body<Data = Bytes> + Unpin {
        let frames =
            parts.into_iter().map(|part| Ok::<_, std::io::Error>(http_body::Frame::data(part)));
        StreamBody::new(futures::stream::iter(frames.collect::<Vec<_>>())).boxed()
    }

    async fn read_pieces(parts: Vec<Bytes>, bytes_max: usize) -> Result<Bytes, Failure> {
        read(&mut pieces(parts), bytes_max).await
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0];
        bytes.extend((message.len() as u32).to_be_bytes());
        bytes.extend(message);
        bytes
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime for the test").block_on(future)
    }

    proptest! {
        #[test]
        fn a_message_arrives_however_it_is_cut(
            message in proptest::collection::vec(any::<u8>(), 0..100),
            cut in 1usize..20,
        ) {
            let parts = framed(&message).chunks(cut).map(Bytes::copy_from_slice).collect();
            prop_assert_eq!(block_on(read_pieces(parts, 100)).expect("whole"), message);
        }

        #[test]
        fn a_cut_off_message_is_refused(
            message in proptest::collection::vec(any::<u8>(), 1..50),
            kept in 0usize..54,
        ) {
            let framed = framed(&message);
            let kept = kept.min(framed.len() - 1);
            let parts = vec![Bytes::copy_from_slice(&framed[..kept])];
            prop_assert_eq!(block_on(read_pieces(parts, 100)).unwrap_err().code, Code::Internal);
        }
    }

    #[test]
    fn too_long_is_refused_by_its_announcement() {
        let head = Bytes::from_static(&[0, 0, 0, 0, 11]);
        let failure = block_on(read(&mut Full::new(head), 10)).unwrap_err();
        assert_eq!(failure.code, Code::ResourceExhausted);
        assert_eq!(failure.text, "grpc: received message larger than max (11 vs. 10)");
    }

    #[test]
    fn a_compressed_message_is_not_understood() {
        let head = Bytes::from_static(&[1, 0, 0, 0, 0]);
        let failure = block_on(read(&mut Full::new(head), 10)).unwrap_err();
        assert_eq!(failure.code, Code::Unimplemented);
    }
}
