//! Why a request is not answered: a status, a word for programs, a line for people.

use api::Error;
use http::StatusCode;
use raft::{LeaveError, RemoveError};
use serde::Serialize;
use tonic::Code;

use crate::server::status::Failure;
use crate::turn::TurnError;

/// An answer that is not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    #[serde(skip)]
    pub status: StatusCode,
    /// One line.
    pub error: String,
    /// In kebab case; programs match on it.
    pub code: &'static str,
    /// Who has the turn that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
}

impl Refusal {
    pub fn new(status: StatusCode, code: &'static str, error: impl Into<String>) -> Self {
        Self { status, error: error.into(), code, holder: None }
    }

    /// The request itself is wrong.
    pub fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", error)
    }

    /// There is nobody who could do it now.
    pub fn no_quorum(error: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no-quorum", error)
    }

    fn failed(error: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "failed", error)
    }

    fn conflict(code: &'static str, error: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, error)
    }
}

impl From<LeaveError> for Refusal {
    fn from(error: LeaveError) -> Self {
        let line = error.to_string();
        match error {
            LeaveError::LastVoter => Self::conflict("last-voter", line),
            LeaveError::NoQuorum(_) => Self::no_quorum(line),
            LeaveError::Failed(_) => Self::failed(line),
        }
    }
}

impl From<RemoveError> for Refusal {
    fn from(error: RemoveError) -> Self {
        let line = error.to_string();
        match error {
            RemoveError::NotFound => Self::new(StatusCode::NOT_FOUND, "not-found", line),
            RemoveError::LastVoter => Self::conflict("last-voter", line),
            RemoveError::Unsafe(_) => Self::conflict("unsafe", line),
            RemoveError::NoQuorum(_) => Self::no_quorum(line),
        }
    }
}

impl From<TurnError> for Refusal {
    fn from(error: TurnError) -> Self {
        match error {
            TurnError::Taken { holder } => {
                let line = format!("member {holder} has this turn; try again when it is done");
                Self { holder: Some(holder), ..Self::conflict("taken", line) }
            }
            TurnError::Store(error) => error.into(),
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Failure::from(error).into()
    }
}

/// What a client of the services would have been told.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let (status, code) = match failure.code {
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "invalid-argument"),
            Code::OutOfRange => (StatusCode::BAD_REQUEST, "out-of-range"),
            Code::NotFound => (StatusCode::NOT_FOUND, "not-found"),
            Code::FailedPrecondition => (StatusCode::CONFLICT, "failed-precondition"),
            Code::ResourceExhausted => (StatusCode::CONFLICT, "no-space"),
            Code::DataLoss => (StatusCode::CONFLICT, "corrupt"),
            Code::Unavailable | Code::DeadlineExceeded => {
                (StatusCode::SERVICE_UNAVAILABLE, "no-quorum")
            }
            _ => return Self::failed(failure.text),
        };
        Self::new(status, code, failure.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_line_and_a_word() {
        let refusal = Refusal::from(TurnError::Taken { holder: "etcd-1".to_owned() });
        assert_eq!(
            serde_json::to_string(&refusal).expect("text"),
            r#"{"error":"member etcd-1 has this turn; try again when it is done","code":"taken","holder":"etcd-1"}"#
        );
        let refusal = Refusal::from(Error::Compacted);
        assert_eq!((refusal.status.as_u16(), refusal.code), (400, "out-of-range"));
        let refusal = Refusal::from(TurnError::Store(Error::NoLeader));
        assert_eq!((refusal.status.as_u16(), refusal.code), (503, "no-quorum"));
        assert!(!serde_json::to_string(&refusal).expect("text").contains("holder"));
    }
}
