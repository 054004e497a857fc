//! A way to a peer that is opened when needed and opened again after it broke.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, oneshot};

use super::connection::{Connection, LinkError, Notices, reply};
use super::frame::{self, Frame, Kind, PREFACE};
use super::message::{Hello, Refusal};
use super::pool::Local;
use super::traffic::Traffic;
use crate::codec::Wire;
use crate::machine::blocking;

/// How long opening a connection may take, hand-shake included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// After a failure no new attempt is made for this long: a dead peer costs no CPU.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A peer for one purpose; each purpose has a connection of its own, so that bulk traffic never
/// delays a heartbeat.
pub(crate) struct Link {
    local: Arc<Local>,
    target: u64,
    notices: Notices,
    traffic: Arc<Traffic>,
    measures_round_trips: bool,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    connection: Option<Arc<Connection>>,
    failed_at: Option<Instant>,
}

impl Link {
    pub(super) fn new(local: Arc<Local>, target: u64, notices: Notices) -> Self {
        let traffic = local.traffic(target);
        let (measures_round_trips, slot) = (false, Mutex::default());
        Self { local, target, notices, traffic, measures_round_trips, slot }
    }

    /// Counts how long the peer takes to answer what goes this way.
    pub(super) fn measuring_round_trips(self) -> Self {
        Self { measures_round_trips: true, ..self }
    }

    /// Opens the connection if it is not open: afterwards both ends know each other's disk.
    pub(crate) async fn connect(&self) -> Result<(), LinkError> {
        self.connection().await.map(|_| ())
    }

    /// Sends a request and waits for its reply.
    pub(crate) async fn request(
        &self,
        kind: Kind,
        payload: Bytes,
        limit: Duration,
    ) -> Result<Bytes, LinkError> {
        let receiver = self.send(kind, payload).await?;
        reply(receiver, limit).await
    }

    /// Sends a request; its reply is awaited by the caller.
    pub(super) async fn send(
        &self,
        kind: Kind,
        payload: Bytes,
    ) -> Result<oneshot::Receiver<Result<Bytes, LinkError>>, LinkError> {
        let connection = self.connection().await?;
        self.counted(connection.send(kind, payload).await)
    }

    /// Sends a message that has no reply.
    pub(crate) async fn notify(
        &self,
        kind: Kind,
        number: u64,
        payload: Bytes,
    ) -> Result<(), LinkError> {
        let connection = self.connection().await?;
        self.counted(connection.notify(kind, number, payload).await)
    }

    fn counted<T>(&self, sent: Result<T, LinkError>) -> Result<T, LinkError> {
        if sent.is_err() {
            self.traffic.send_failed();
        }
        sent
    }

    async fn connection(&self) -> Result<Arc<Connection>, LinkError> {
        let connection = self.open_connection().await;
        self.counted(connection)
    }

    async fn open_connection(&self) -> Result<Arc<Connection>, LinkError> {
        let mut slot = self.slot.lock().await;
        if let Some(connection) = slot.connection.as_ref().filter(|open| !open.is_closed()) {
            return Ok(connection.clone());
        }
        slot.connection = None;
        if slot.failed_at.is_some_and(|at| at.elapsed() < RETRY_AFTER) {
            return Err(LinkError::NotSent(io::ErrorKind::NotConnected.into()));
        }
        match self.open().await {
            Ok(stream) => {
                let (notices, traffic) = (self.notices.clone(), self.traffic.clone());
                let connection =
                    Connection::start(stream, notices, traffic, self.measures_round_trips);
                let connection = Arc::new(connection);
                *slot = Slot { connection: Some(connection.clone()), failed_at: None };
                Ok(connection)
            }
            Err(error) => {
                slot.failed_at = Some(Instant::now());
                Err(LinkError::NotSent(error))
            }
        }
    }

    /// Tries the peer's addresses in the order of its URLs.
    async fn open(&self) -> io::Result<TcpStream> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the peer has no known address");
        for address in self.local.addresses(self.target) {
            let attempt = tokio::time::timeout(CONNECT_TIMEOUT, self.open_at(&address)).await;
            match attempt.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    async fn open_at(&self, address: &str) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let hello = self.local.hello(self.target);
        stream.write_all(PREFACE).await?;
        frame::write(&mut stream, &Frame::new(Kind::Hello, 0, hello.to_bytes())).await?;
        let answer = frame::read(&mut stream)
            .await?
            .ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionReset))?;
        self.check_answer(answer)?;
        Ok(stream)
    }

    fn check_answer(&self, answer: Frame) -> io::Result<()> {
        let mut payload = answer.payload;
        match answer.kind {
            Kind::Welcome => {
                let hello = Hello::parse(&mut payload).map_err(io::Error::other)?;
                // Pinning a peer seen for the first time writes a file.
                blocking(|| self.local.check_peer(&hello)).map_err(|refusal| {
                    io::Error::new(io::ErrorKind::ConnectionRefused, refusal.text)
                })
            }
            Kind::Refused => {
                let refusal = Refusal::parse(&mut payload).map_err(io::Error::other)?;
                self.local.refused_by(self.target, &refusal);
                Err(io::Error::new(io::ErrorKind::ConnectionRefused, refusal.text))
            }
            _ => Err(io::Error::new(io::ErrorKind::InvalidData, "not a hand-shake answer")),
        }
    }
}
