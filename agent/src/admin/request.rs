//! What came with a request.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;

/// Bytes of a request's body; the longest one in use has some dozens.
pub const BODY_BYTES_MAX: usize = 64 << 10;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the body as JSON; none at all is an empty object.
///
/// # Errors
/// `too-large`, `timeout`, and `bad-request` with what is wrong and where in the text.
pub async fn json<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, Refusal> {
    let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
    let body = tokio::time::timeout(BODY_TIMEOUT, body).await.map_err(|_| {
        let error = format!("the body did not arrive within {} s", BODY_TIMEOUT.as_secs());
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "timeout", error)
    })?;
    let bytes = body.map_err(|error| unreadable(error.as_ref()))?.to_bytes();
    let text = if bytes.is_empty() { b"{}" } else { bytes.as_ref() };
    serde_json::from_slice(text)
        .map_err(|error| Refusal::bad_request(format!("the body is not what this takes: {error}")))
}

fn unreadable(error: &(dyn std::error::Error + 'static)) -> Refusal {
    if error.is::<LengthLimitError>() {
        let error = format!("the body has more than {BODY_BYTES_MAX} bytes");
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", error);
    }
    Refusal::bad_request(format!("the body could not be read: {error}"))
}

/// The value of one key of the query, in which nothing is percent-encoded: names are plain.
pub fn query<'a>(request: &'a Request<Incoming>, key: &str) -> Option<&'a str> {
    let pairs = request.uri().query()?.split('&').filter_map(|pair| pair.split_once('='));
    pairs.into_iter().find(|(name, _)| *name == key).map(|(_, value)| value)
}
