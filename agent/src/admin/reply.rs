//! Answers as JSON.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde::Serialize;

use super::refusal::Refusal;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A whole answer.
pub type Reply = Response<Full<Bytes>>;

/// What was asked for, or why not.
pub fn of<T: Serialize>(outcome: Result<T, Refusal>) -> Reply {
    match outcome {
        Ok(value) => with(StatusCode::OK, &value),
        Err(refusal) => with(refusal.status, &refusal),
    }
}

/// The path is there, but not for this method.
pub fn method_not_allowed(allowed: &str) -> Reply {
    let error = format!("this path takes {allowed}");
    let mut reply =
        of::<()>(Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", error)));
    if let Ok(allowed) = HeaderValue::from_str(allowed) {
        reply.headers_mut().insert(ALLOW, allowed);
    }
    reply
}

fn with(status: StatusCode, value: &impl Serialize) -> Reply {
    let body = serde_json::to_vec(value).expect("our answers have text keys and finite numbers");
    let mut reply = Response::new(Full::from(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, JSON);
    reply
}
