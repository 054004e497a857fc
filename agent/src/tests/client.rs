//! A member of its own for each test, and a client that speaks bare gRPC and HTTP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::etcdserverpb::{PutRequest, PutResponse, RangeRequest, RangeResponse};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Receiver;

use crate::config::{self, Config};
use crate::life::{LeaveOrder, Life};
use crate::process::{self, Running, Started};
use crate::server::frame::Frame;

/// No test waits longer for anything.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A running member with a directory of its own.
pub struct TestMember {
    pub running: Running,
    pub life: Arc<Life>,
    _orders: Receiver<LeaveOrder>,
    pub address: SocketAddr,
    _directory: TempDir,
}

/// gRPC code and text.
pub type Refusal = (i32, String);

/// The configuration these flags make, with ports the system chooses.
pub fn config(data_dir: &std::path::Path, flags: &[&str]) -> Config {
    let open_ports =
        ["--listen-client-urls=http://127.0.0.1:0", "--listen-peer-urls=http://127.0.0.1:0"];
    let advertised = ["--advertise-client-urls=http://127.0.0.1:2379"];
    let quick = ["--heartbeat-interval=10", "--election-timeout=100"];
    let data_dir = format!("--data-dir={}", data_dir.display());
    let args = open_ports.iter().chain(&advertised).chain(&quick).chain(flags);
    let mut args: Vec<String> = args.map(|flag| (*flag).to_owned()).collect();
    args.push(data_dir);
    match config::parse(&args, &[], &|path| std::fs::read_to_string(path)) {
        Ok(config::Request::Start(config)) => *config,
        other => panic!("{other:?}"),
    }
}

impl TestMember {
    pub async fn start(flags: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory for the test");
        let config = config(&directory.path().join("data"), flags);
        let (life, _orders) = Life::new(&config.name);
        let started = process::start(config, threads(), life.clone()).await;
        let Ok(Started::Serving(running)) = started else { panic!("the member does not start") };
        let address = running.addresses()[0];
        let member = Self { running, life, _orders, address, _directory: directory };
        eventually("a leader", async || {
            let read = RangeRequest { key: "k".into(), ..Default::default() };
            member.unary::<_, RangeResponse>("KV/Range", &read).await.ok()
        })
        .await;
        member
    }

    /// Sends bytes as the body of a call and returns headers, body and trailers.
    pub async fn call(&self, path: &str, body: Bytes) -> (HeaderMap, Bytes, HeaderMap) {
        call_at(self.address, path, body).await
    }

    /// A unary call of etcd's package.
    pub async fn unary<Q: Message, A: Message + Default>(
        &self,
        method: &str,
        request: &Q,
    ) -> Result<A, Refusal> {
        let mut frame = Frame::encode(request);
        let body = frame.copy_to_bytes(frame.remaining());
        let (head, body, trailers) = self.call(&format!("etcdserverpb.{method}"), body).await;
        refusal(&head, &trailers)?;
        Ok(A::decode(&body[5..]).expect("an answer"))
    }

    pub async fn put(&self, key: &str, value: &[u8]) -> Result<PutResponse, Refusal> {
        let value = Bytes::copy_from_slice(value);
        let request =
            PutRequest { key: Bytes::copy_from_slice(key.as_bytes()), value, ..Default::default() };
        self.unary("KV/Put", &request).await
    }

    pub async fn get(&self, key: &str) -> RangeResponse {
        let key = Bytes::copy_from_slice(key.as_bytes());
        let request = RangeRequest { key, ..Default::default() };
        self.unary("KV/Range", &request).await.expect("readable")
    }

    /// A plain HTTP request: status, headers and body as text.
    pub async fn http(&self, method: Method, path: &str) -> (u16, HeaderMap, String) {
        let stream = TcpStream::connect(self.address).await.expect("connected");
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1");
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "member")
            .body(Full::new(Bytes::new()))
            .expect("a request");
        let answer = sender.send_request(request);
        let response: Response<Incoming> =
            tokio::time::timeout(DEADLINE, answer).await.expect("in time").expect("an answer");
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (head.status.as_u16(), head.headers, String::from_utf8_lossy(&body).into_owned())
    }
}

/// As [`TestMember::call`], for calls that outlive the member.
pub async fn call_at(
    address: SocketAddr,
    path: &str,
    body: Bytes,
) -> (HeaderMap, Bytes, HeaderMap) {
    let stream = TcpStream::connect(address).await.expect("connected");
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .expect("HTTP/2");
    tokio::spawn(connection);
    let request = Request::post(format!("http://{address}/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(body))
        .expect("a request");
    let answer = sender.send_request(request);
    let response = tokio::time::timeout(DEADLINE, answer).await.expect("in time");
    let (head, body) = response.expect("an answer").into_parts();
    let collected = body.collect().await.expect("a body");
    let trailers = collected.trailers().cloned().unwrap_or_default();
    (head.headers, collected.to_bytes(), trailers)
}

/// What headers or trailers say went wrong.
pub fn refusal(head: &HeaderMap, trailers: &HeaderMap) -> Result<(), Refusal> {
    let text = |name| {
        let value = trailers.get(name).or(head.get(name))?;
        Some(value.to_str().expect("text").to_owned())
    };
    match text("grpc-status").expect("every call ends with a status").as_str() {
        "0" => Ok(()),
        code => Err((code.parse().expect("a number"), text("grpc-message").unwrap_or_default())),
    }
}

/// Tries again until there is an answer.
pub async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = attempt().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "still waiting for {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Clients are served by the test's own thread and one more, as on a small machine.
pub fn threads() -> crate::server::threads::ConnectionThreads {
    crate::server::threads::ConnectionThreads::start(1).expect("a thread")
}
