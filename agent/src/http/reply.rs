//! Answers in the form Go's HTTP library gives them, which scripts have come to rely on.

use http::header::{ALLOW, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Response, StatusCode};

use crate::server::body::Answer;

const TEXT: &str = "text/plain; charset=utf-8";
const NO_SNIFF: HeaderName = HeaderName::from_static("x-content-type-options");

/// A body of some type.
pub fn with(status: StatusCode, kind: &'static str, body: String) -> Response<Answer> {
    let mut response = Response::new(Answer::Full(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// Plain text.
pub fn text(status: StatusCode, body: impl Into<String>) -> Response<Answer> {
    with(status, TEXT, body.into())
}

/// An error: one line that browsers must not take for anything else.
pub fn error(status: StatusCode, line: &str) -> Response<Answer> {
    let mut response = text(status, format!("{line}\n"));
    response.headers_mut().insert(NO_SNIFF, HeaderValue::from_static("nosniff"));
    response
}

/// No such path.
pub fn not_found() -> Response<Answer> {
    error(StatusCode::NOT_FOUND, "404 page not found")
}

/// The path is there, but only to be read.
pub fn method_not_allowed() -> Response<Answer> {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET"));
    response
}
