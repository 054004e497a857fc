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

/// What a member of a running cluster says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// The cluster's id.
    pub cluster: u64,
    /// Its members, as the answering one knows them.
    pub members: Vec<DiscoveredMember>,
}

/// A member of a running cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiscoveredMember {
    /// Its id.
    pub id: u64,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
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
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { id: u64::parse(bytes)?, peer_urls: Vec::parse(bytes)? })
    }
}

impl Wire for Discovered {
    fn put(&self, buffer: &mut BytesMut) {
        self.cluster.put(buffer);
        self.members.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self { cluster: u64::parse(bytes)?, members: Vec::parse(bytes)? })
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
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, ask(&address)).await;
        match answer.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(discovered) => return Ok(discovered),
            Err(error) => last = error,
        }
    }
    Err(DiscoverError { urls: urls.join(", "), last })
}

async fn ask(address: &str) -> io::Result<Discovered> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(PREFACE).await?;
    frame::write(&mut stream, &Frame::new(Kind::Discover, 0, Bytes::new())).await?;
    let answer = frame::read(&mut stream)
        .await?
        .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))?;
    if answer.kind != Kind::Reply {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not an answer"));
    }
    let mut payload = answer.payload;
    Discovered::parse(&mut payload).map_err(io::Error::other)
}
