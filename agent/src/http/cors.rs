//! What lets a web page of another origin read the answers.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
};
use http::{HeaderMap, HeaderValue};

const METHODS: HeaderValue = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
const ORIGINS: HeaderValue = HeaderValue::from_static("*");
const HEADERS: HeaderValue = HeaderValue::from_static("accept, content-type, authorization");

/// Lets every origin in, whether the request names one or not: what etcd answers while `--cors` is
/// `*`, the only value this release takes.
pub fn allow_all(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ORIGINS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
}
