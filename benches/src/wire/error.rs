//! Why a call did not count as a success.

use thiserror::Error;

/// A failed call. Whatever the reason, the generator counts it as an error, never as an operation.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CallError {
    /// The server answered with a gRPC status other than 0.
    #[error("{} ({code}): {message}", code_name(*.code))]
    Status {
        /// The gRPC code, 1 to 16.
        code: u32,
        /// The server's text, still percent-encoded.
        message: String,
    },
    /// No answer: connecting, sending or receiving failed.
    #[error("transport: {0}")]
    Transport(String),
    /// The server said 0 (OK) and the reply is not what the request asked for.
    #[error("bad reply: {0}")]
    Reply(&'static str),
}

impl CallError {
    /// The class under which the error is counted: few, and without addresses in them.
    pub fn class(&self) -> String {
        match self {
            Self::Status { code, .. } => format!("{}({code})", code_name(*code)),
            Self::Transport(_) => "TRANSPORT".to_owned(),
            Self::Reply(what) => format!("BAD_REPLY({what})"),
        }
    }

    /// Whether the connection itself is in doubt, so that calling again at once would only spin.
    pub fn is_transport(&self) -> bool {
        matches!(self, Self::Transport(_))
    }
}

impl From<h2::Error> for CallError {
    fn from(error: h2::Error) -> Self {
        Self::Transport(error.to_string())
    }
}

fn code_name(code: u32) -> &'static str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    NAMES.get(code as usize).copied().unwrap_or("CODE")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_code_and_not_by_text() {
        let one = CallError::Status { code: 14, message: "etcdserver: no leader".into() };
        let other = CallError::Status { code: 14, message: "etcdserver: timed out".into() };
        assert_eq!(one.class(), "UNAVAILABLE(14)");
        assert_eq!(one.class(), other.class());
    }
}
