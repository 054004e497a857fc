//! How a gRPC call ended, read from headers or trailers.

use http::{HeaderMap, Response, StatusCode};

use crate::wire::CallError;

/// Reads `grpc-status`, which must be there, and turns anything but 0 into an error.
pub fn check_trailers(trailers: &HeaderMap) -> Result<(), CallError> {
    let Some(status) = trailers.get("grpc-status") else {
        return Err(CallError::Reply("no grpc-status"));
    };
    if status.as_bytes() == b"0" {
        return Ok(());
    }
    let code = status.to_str().ok().and_then(|text| text.parse().ok()).unwrap_or(2);
    let message = trailers.get("grpc-message").and_then(|text| text.to_str().ok());
    Err(CallError::Status { code, message: message.unwrap_or_default().to_owned() })
}

/// Checks the head of a response; a call that failed at once has its status there already.
pub fn check_head<B>(response: &Response<B>) -> Result<(), CallError> {
    if response.status() != StatusCode::OK {
        return Err(CallError::Transport(format!("HTTP status {}", response.status())));
    }
    match response.headers().contains_key("grpc-status") {
        true => check_trailers(response.headers()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_explicit_zero_is_success() {
        let mut trailers = HeaderMap::new();
        assert_eq!(check_trailers(&trailers), Err(CallError::Reply("no grpc-status")));
        trailers.insert("grpc-status", "8".parse().unwrap());
        let error = check_trailers(&trailers).unwrap_err();
        assert_eq!(error.class(), "RESOURCE_EXHAUSTED(8)");
        trailers.insert("grpc-status", "0".parse().unwrap());
        assert_eq!(check_trailers(&trailers), Ok(()));
    }
}
