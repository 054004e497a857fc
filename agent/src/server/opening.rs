//! Tells HTTP/2 from HTTP/1 by the first bytes of a connection and gives the bytes back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// HTTP/2 with prior knowledge opens with these bytes; no HTTP/1 method starts like it (RFC 9113,
/// section 3.4: the preface is "PRI * HTTP/2.0…").
const PREFACE_START: &[u8; 3] = b"PRI";

/// A stream whose first bytes were looked at and are read again.
#[derive(Debug)]
pub struct Opened<S> {
    seen: [u8; PREFACE_START.len()],
    seen_at: usize,
    seen_end: usize,
    stream: S,
}

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.0 or 1.1, or garbage, which the HTTP/1 parser refuses.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// Waits for the opening bytes.
///
/// # Errors
/// When the stream fails; a client that closes before it said anything reads as `UnexpectedEof`.
pub async fn recognize<S>(mut stream: S) -> io::Result<(Protocol, Opened<S>)>
where
    S: AsyncRead + Unpin,
{
    let mut seen = [0; PREFACE_START.len()];
    let mut seen_end = 0;
    while seen_end < seen.len() && seen[..seen_end] == PREFACE_START[..seen_end] {
        match stream.read(&mut seen[seen_end..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => seen_end += count,
        }
    }
    let protocol = if seen == *PREFACE_START { Protocol::Http2 } else { Protocol::Http1 };
    Ok((protocol, Opened { seen, seen_at: 0, seen_end, stream }))
}

impl<S: AsyncRead + Unpin> AsyncRead for Opened<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seen_at == self.seen_end {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let count = buffer.remaining().min(self.seen_end - self.seen_at);
        buffer.put_slice(&self.seen[self.seen_at..self.seen_at + count]);
        self.seen_at += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Opened<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn open(bytes: &[u8]) -> io::Result<(Protocol, Vec<u8>)> {
        let (mut client, server) = tokio::io::duplex(64);
        client.write_all(bytes).await?;
        drop(client);
        let (protocol, mut stream) = recognize(server).await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await?;
        Ok((protocol, rest))
    }

    #[tokio::test]
    async fn the_protocols_are_told_apart_and_nothing_is_lost() {
        for (opening, protocol) in [
            (&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], Protocol::Http2),
            (b"GET / HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"PROPFIND / HTTP/1.1\r\n\r\n", Protocol::Http1),
            (b"\x16\x03\x01", Protocol::Http1),
        ] {
            assert_eq!(open(opening).await.expect("readable"), (protocol, opening.to_vec()));
        }
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_an_end_of_file() {
        assert_eq!(open(b"PR").await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
