//! Lets in clients that write a whole URL where HTTP/2 wants a host and a port.
//!
//! Some calls of etcd's Go client dial one endpoint as it stands in `--endpoints`: the maintenance
//! calls of etcdctl 3.4 (`endpoint status`, `endpoint hashkv`, `defrag`, `move-leader`) do. The
//! gRPC library of that time takes the dialled text for `:authority`, so the requests say
//! `:authority: http://127.0.0.1:2379`. etcd's server never looks at it. Ours would reset the
//! stream with `PROTOCOL_ERROR`: the HTTP/2 library parses the authority before anybody else sees
//! the request, and has no switch for it.
//!
//! So the bytes are mended before the library reads them. A [`MendedAuthority`] walks the frames
//! of a connection ([`frames`]) and the fields of their header blocks ([`block`]), and turns
//! `http://` into `httpx--`. Nothing moves: the replaced characters have Huffman codes as long as
//! the new ones, so the field keeps its length, coded and decoded. Frames need no new lengths, and
//! the dynamic tables of both ends keep the same entries (theirs has the name with `://`, ours with
//! `x--`, and both count the same bytes).
//!
//! Every other byte passes as it came, valid or not, and is the library's to judge.

mod block;
mod frames;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::frames::Frames;

/// The server's side of an HTTP/2 connection from its preface on, with URLs in `:authority` made
/// valid.
///
/// Bytes are read into the caller's buffer and changed there. Only a header block that has not
/// arrived whole is set aside, at most one frame of the size given to [`new`](Self::new).
#[derive(Debug)]
pub struct MendedAuthority<S> {
    frames: Frames,
    /// The payload of a header frame, as much as has come; empty nearly always.
    held: Vec<u8>,
    /// How much of `held` went to the caller. Only once `held` is whole.
    given: usize,
    held_is_whole: bool,
    stream: S,
}

impl<S> MendedAuthority<S> {
    /// Wraps a connection nothing was read from yet. Header frames of more than `frame_bytes_max`
    /// pass unseen: this must be the size the connection's settings allow.
    pub fn new(stream: S, frame_bytes_max: usize) -> Self {
        let frames = Frames::new(frame_bytes_max);
        Self { frames, held: Vec::new(), given: 0, held_is_whole: false, stream }
    }

    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = buffer.remaining().min(self.held.len() - self.given);
        buffer.put_slice(&self.held[self.given..self.given + count]);
        self.given += count;
        if self.given == self.held.len() {
            // The memory goes too: of thousands of connections, few need it twice.
            (self.held, self.given, self.held_is_whole) = (Vec::new(), 0, false);
        }
    }
}

impl<S: AsyncRead + Unpin> MendedAuthority<S> {
    /// Reads with nothing held. True when the caller has something to look at: bytes or the end.
    fn poll_through(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let fresh = &mut buffer.filled_mut()[before..];
        let through = self.frames.scan(fresh);
        if through == fresh.len() {
            return Poll::Ready(Ok(true));
        }
        self.held.extend_from_slice(&fresh[through..]);
        buffer.set_filled(before + through);
        // A read of no bytes would be taken for the end.
        Poll::Ready(Ok(through > 0))
    }

    /// Reads on to the end of the frame held, with the caller's buffer for scratch space.
    fn poll_held(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let missing = self.frames.block_bytes() - self.held.len();
        let mut part = buffer.take(missing);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut part))?;
        self.held.extend_from_slice(part.filled());
        if part.filled().len() == missing {
            self.frames.scan(&mut self.held);
            self.held_is_whole = true;
        } else if part.filled().is_empty() {
            // The client is gone; what it left is passed on as it is.
            self.held_is_whole = true;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for MendedAuthority<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        if self.held.is_empty() && ready!(self.poll_through(context, buffer))? {
            return Poll::Ready(Ok(()));
        }
        // Every turn adds at least a byte to a frame of bounded size, or ends it.
        while !self.held_is_whole {
            ready!(self.poll_held(context, buffer))?;
        }
        self.give(buffer);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for MendedAuthority<S> {
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
        Pin::new(&mut self.stream).poll_shutdown(context)
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
mod tests;
