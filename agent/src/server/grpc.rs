//! Serves a gRPC call directly over HTTP/2.
//!
//! A unary call is: read one length-prefixed message, handle it, send one length-prefixed message
//! and the trailers. The futures are static; only the rare methods are boxed, which also keeps the
//! future of the frequent ones small.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tonic::Code;

use super::body::Answer;
use super::frame::{Frame, PREFIX_BYTES};
use super::method::{Kind, Method};
use super::status::Failure;
use super::{call, message, status};
use crate::member::Member;
use crate::{cluster, gate, health_service, kv, lease, maintenance, watch_call};

/// Answers a call of a method this member serves.
pub async fn serve(
    member: Arc<Member>,
    method: Method,
    request: Request<Incoming>,
) -> Response<Answer> {
    match method.kind() {
        Kind::Unary => unary(&member, method, request).await,
        Kind::ServerStream | Kind::BidiStream => Box::pin(stream(member, method, request)).await,
    }
}

async fn unary(member: &Member, method: Method, request: Request<Incoming>) -> Response<Answer> {
    let ongoing = member.metrics.grpc.start(method);
    let (head, mut body) = request.into_parts();
    let outcome = answer_in_time(member, method, &head.headers, &mut body).await;
    let code = outcome.as_ref().map_or_else(|failure| failure.code, |_| Code::Ok);
    let took = ongoing.finish(code);
    if took >= member.limits.slow_request && !member.limits.slow_request.is_zero() {
        tracing::warn!(
            method = method.name(),
            took_ms = took.as_millis() as u64,
            ?code,
            "request took too long"
        );
    }
    match outcome {
        Ok(frame) => {
            member.metrics.grpc.sent(method, 1, frame.remaining() - PREFIX_BYTES);
            status::success(frame)
        }
        Err(failure) => status::failure(failure.code, &failure.text),
    }
}

async fn answer_in_time(
    member: &Member,
    method: Method,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Frame, Failure> {
    let answer = answer(member, method, headers, body);
    match call::timeout(headers) {
        None => answer.await,
        Some(timeout) => tokio::time::timeout(timeout, answer)
            .await
            .unwrap_or_else(|_| Err(api::Error::DeadlineExceeded.into())),
    }
}

async fn answer(
    member: &Member,
    method: Method,
    headers: &HeaderMap,
    body: &mut Incoming,
) -> Result<Frame, Failure> {
    let raw = message::read(body, member.limits.message_bytes_max()).await?;
    member.metrics.grpc.received(method, 1, raw.len());
    gate::admit(member, method, call::requires_leader(headers))?;
    match method {
        Method::Range => kv::range(member, raw).await,
        Method::Put => kv::put(member, raw).await,
        Method::Txn => kv::txn(member, raw).await,
        Method::DeleteRange => kv::delete_range(member, raw).await,
        rare => Box::pin(answer_rare(member, rare, raw)).await,
    }
}

async fn answer_rare(member: &Member, method: Method, raw: Bytes) -> Result<Frame, Failure> {
    match method {
        Method::Compact => kv::compact(member, raw).await,
        Method::LeaseGrant => lease::grant(member, raw).await,
        Method::LeaseRevoke => lease::revoke(member, raw).await,
        Method::LeaseTimeToLive => lease::time_to_live(member, raw).await,
        Method::LeaseLeases => lease::leases(member).await,
        Method::MemberAdd => cluster::add(member, raw).await,
        Method::MemberRemove => cluster::remove(member, raw).await,
        Method::MemberUpdate => cluster::update(member, raw).await,
        Method::MemberList => cluster::list(member, raw).await,
        Method::MemberPromote => cluster::promote(member, raw).await,
        Method::Alarm => maintenance::alarm(member, raw).await,
        Method::Status => maintenance::status(member),
        Method::Defragment => maintenance::defragment(member).await,
        Method::Hash => maintenance::hash(member).await,
        Method::HashKv => maintenance::hash_kv(member, raw).await,
        Method::MoveLeader => maintenance::move_leader(member, raw).await,
        Method::HealthCheck => health_service::check(member, raw),
        Method::Range | Method::Put | Method::Txn | Method::DeleteRange => {
            unreachable!("answered without a box")
        }
        Method::RangeStream | Method::Watch | Method::LeaseKeepAlive | Method::HealthWatch => {
            unreachable!("not a unary method")
        }
    }
}

async fn stream(
    member: Arc<Member>,
    method: Method,
    request: Request<Incoming>,
) -> Response<Answer> {
    member.metrics.grpc.begin(method);
    let (head, body) = request.into_parts();
    let admitted = gate::admit(&member, method, call::requires_leader(&head.headers));
    let opened = match (admitted, method) {
        (Err(failure), _) => Err(failure),
        (Ok(()), Method::RangeStream) => kv::range_stream(&member, body).await,
        (Ok(()), Method::HealthWatch) => health_service::watch(&member, body).await,
        (Ok(()), Method::LeaseKeepAlive) => Ok(lease::keep_alive(&member, body)),
        (Ok(()), _) => watch_call::open(&member, &head.headers, body),
    };
    match opened {
        Ok(answer) => status::with_body(answer),
        Err(failure) => {
            member.metrics.grpc.end(method, failure.code);
            status::failure(failure.code, &failure.text)
        }
    }
}
