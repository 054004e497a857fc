//! Health/Check: one question, one answer.

use api::health::{HealthCheckRequest, HealthCheckResponse};
use bytes::Bytes;
use tonic::Code;

use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers with the status of a service.
///
/// # Errors
/// `NotFound` for a service that is not known, with grpc-go's text.
pub fn check(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: HealthCheckRequest = decode(raw)?;
    match super::status(member, &request.service) {
        Some(status) => Ok(Frame::encode(&HealthCheckResponse { status: status.into() })),
        None => Err(Failure::new(Code::NotFound, "unknown service")),
    }
}
