//! A plain HTTP/1.1 client: one connection per request, nothing followed, nothing decoded.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Deadline of a whole exchange.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest body read.
const BODY_BYTES_MAX: usize = 16 << 20;

/// What to ask for.
#[derive(Clone, Debug)]
pub struct WebRequest {
    /// The method.
    pub method: Method,
    /// `host:port`.
    pub address: String,
    /// Path and query.
    pub path: String,
    /// Extra headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, possibly empty.
    pub body: Bytes,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Page {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; bytes that are not UTF-8 are replaced.
    pub body: String,
}

impl WebRequest {
    /// `GET path` from `address`.
    pub fn get(address: &str, path: &str) -> Self {
        Self {
            method: Method::GET,
            address: address.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
        }
    }

    /// The same with another method.
    pub fn method(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    /// One header more.
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }
}

/// Sends the request; an error text when there is no complete answer within 15 s.
pub async fn fetch(request: WebRequest) -> Result<Page, String> {
    match tokio::time::timeout(EXCHANGE_TIMEOUT, exchange(request)).await {
        Ok(result) => result,
        Err(_) => Err(format!("no complete answer within {EXCHANGE_TIMEOUT:?}")),
    }
}

async fn exchange(request: WebRequest) -> Result<Page, String> {
    let stream = TcpStream::connect(&request.address).await.map_err(text)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(text)?;
    let connection = tokio::spawn(connection);
    let mut builder = http::Request::builder()
        .method(request.method)
        .uri(&request.path)
        .header("host", &request.address);
    for (name, value) in &request.headers {
        builder = builder.header(*name, value);
    }
    let message = builder.body(Full::new(request.body)).map_err(text)?;
    let response = sender.send_request(message).await.map_err(text)?;
    let (parts, body) = response.into_parts();
    let body = Limited::new(body, BODY_BYTES_MAX).collect().await.map_err(text)?.to_bytes();
    connection.abort();
    Ok(Page {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
