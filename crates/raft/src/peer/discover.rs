//! Asking a running cluster who it is, before this member has an identity of its own.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frame::{self, Frame, Kind, PREFACE};
use crate::codec::{DecodeError, Wire};
use crate::url::host_and_port;

/// How long one peer may take to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long opening a connection for a single question may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What a member of a running cluster says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The cluster's id.
    pub cluster: u64,
    /// Its members, as the answering one knows them.
    pub members: Vec<DiscoveredMember>,
    /// Members that are no more.
    pub removed: Vec<u64>,
}

/// A member of a running cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredMember {
    /// Its id.
    pub id: u64,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Its data directory is known: it has started.
    pub is_pinned: bool,
}

/// Nobody answered.
#[derive(Debug, Error)]
#[error(
    "cannot reach a member of the existing cluster at {urls}: {last}; check that it runs and that --initial-cluster names its peer URLs"
)]
pub struct DiscoverError {
    urls: String,
    last: io::Error,
}

impl Wire for DiscoveredMember {
    fn put(&self, buffer: &mut BytesMut) {
        self.id.put(buffer);
        self.peer_urls.put(buffer);
        self.is_pinned.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            id: u64::parse(bytes)?,
            peer_urls: Vec::parse(bytes)?,
            is_pinned: bool::parse(bytes)?,
        })
    }
}

impl Wire for Discovered {
    fn put(&self, buffer: &mut BytesMut) {
        self.cluster.put(buffer);
        self.members.put(buffer);
        self.removed.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: u64::parse(bytes)?,
            members: Vec::parse(bytes)?,
            removed: Vec::parse(bytes)?,
        })
    }
}

/// Asks the peers at `urls` in turn; the first answer counts.
///
/// # Errors
/// When none answers; the last failure is named.
pub async fn discover(urls: &[String]) -> Result<Discovered, DiscoverError> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "no peer URL is given");
    for url in urls {
        let Some(address) = host_and_port(url) else { continue };
        match discover_at(&address).await {
            Ok(discovered) => return Ok(discovered),
            Err(error) => last = error,
        }
    }
    Err(DiscoverError { urls: urls.join(", "), last })
}

/// Asks one address, `host:port`.
///
/// # Errors
/// When nobody there answers in time, or not as a member does.
pub(crate) async fn discover_at(address: &str) -> io::Result<Discovered> {
    let mut payload = ask(address, Kind::Discover, Bytes::new(), ANSWER_TIMEOUT).await?;
    Discovered::parse(&mut payload).map_err(io::Error::other)
}

/// Asks a single question on a connection of its own, for which the asker needs no identity.
///
/// # Errors
/// When nobody answers within `limit`, or not with a reply.
pub(crate) async fn ask(
    address: &str,
    kind: Kind,
    payload: Bytes,
    limit: Duration,
) -> io::Result<Bytes> {
    let asked = tokio::time::timeout(limit, converse(address, kind, payload)).await;
    asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn converse(address: &str, kind: Kind, payload: Bytes) -> io::Result<Bytes> {
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await;
    let mut stream = connecting.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
    stream.write_all(PREFACE).await?;
    frame::write(&mut stream, &Frame::new(kind, 0, payload)).await?;
    let answer = frame::read(&mut stream)
        .await?
        .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))?;
    if answer.kind != Kind::Reply {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer"));
    }
    Ok(answer.payload)
}
