//! Where a request goes: by path and content type.

use std::convert::Infallible;
use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Method as Verb, Request, Response};
use hyper::body::Incoming;
use tonic::Code;

use super::body::Answer;
use super::method::{Method, unknown_text};
use super::{grpc, status};
use crate::member::Member;

/// Answers one request of the client port.
///
/// # Errors
/// Never: what goes wrong is an answer too.
pub async fn handle(
    member: Arc<Member>,
    request: Request<Incoming>,
) -> Result<Response<Answer>, Infallible> {
    if !is_grpc(&request) {
        return Ok(Box::pin(crate::http::handle_client(&member, request)).await);
    }
    let method = Method::from_path(request.uri().path());
    Ok(match method {
        Some(method) => grpc::serve(member, method, request).await,
        None => status::failure(Code::Unimplemented, &unknown_text(request.uri().path())),
    })
}

fn is_grpc<B>(request: &Request<B>) -> bool {
    request.method() == Verb::POST
        && request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}
