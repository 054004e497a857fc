//! gRPC's outcome as HTTP/2 headers: `grpc-status` and the percent-encoded `grpc-message`.

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tonic::Code;

use super::body::Answer;
use super::frame::Frame;

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const OK: HeaderValue = HeaderValue::from_static("0");

/// An outcome that is not an answer: code and text as the client gets them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The gRPC code.
    pub code: Code,
    /// The text; clients match on it.
    pub text: std::borrow::Cow<'static, str>,
}

impl Failure {
    /// A failure that is not in etcd's table, such as those of the gRPC layer itself.
    pub fn new(code: Code, text: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<api::Error> for Failure {
    fn from(error: api::Error) -> Self {
        Self { code: error.code(), text: error.text().to_owned().into() }
    }
}

impl From<store::ReadError> for Failure {
    fn from(error: store::ReadError) -> Self {
        crate::fault::read(error).into()
    }
}

/// The trailers of a call that succeeded.
pub fn ok_trailers() -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, OK);
    trailers
}

/// The trailers of a call that failed.
pub fn error_trailers(code: Code, text: &str) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(2);
    put_error(&mut trailers, code, text);
    trailers
}

/// The answer of a call that succeeded.
pub fn success(message: Frame) -> Response<Answer> {
    with_body(Answer::Unary(message))
}

/// A successful start of an answer that is a stream of frames.
pub fn with_body(body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

/// The answer of a call that failed before any message was sent: headers are trailers at once.
pub fn failure(code: Code, text: &str) -> Response<Answer> {
    let mut response = with_body(Answer::Empty);
    put_error(response.headers_mut(), code, text);
    response
}

fn put_error(headers: &mut HeaderMap, code: Code, text: &str) {
    headers.insert(GRPC_STATUS, HeaderValue::from(api::grpc_code(code)));
    if !text.is_empty() {
        headers.insert(GRPC_MESSAGE, percent_encoded(text));
    }
}

/// Printable ASCII stays, everything else and `%` become `%XX` (PROTOCOL-HTTP2, "Status-Message").
fn percent_encoded(text: &str) -> HeaderValue {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(byte);
        } else {
            encoded.extend([b'%', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    HeaderValue::from_bytes(&encoded).expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_as_header_values() {
        assert_eq!(percent_encoded("etcdserver: no leader"), "etcdserver: no leader");
        assert_eq!(percent_encoded("100%\n\u{e9}"), "100%25%0A%C3%A9");
    }

    #[test]
    fn a_failure_is_trailers_only() {
        let response = failure(Code::NotFound, "gone");
        assert_eq!(response.headers()["grpc-status"], "5");
        assert_eq!(response.headers()["grpc-message"], "gone");
        assert!(http_body::Body::is_end_stream(response.body()));
    }
}
