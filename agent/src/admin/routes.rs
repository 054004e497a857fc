//! Which path does what.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;

use super::calls;
use super::refusal::Refusal;
use super::reply::{self, Reply};
use crate::life::Life;

/// Longest work on one request; a compaction that waits for its rows may take minutes.
const CALL_TIME_MAX: Duration = Duration::from_secs(600);

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Status,
    Leave,
    Remove,
    Compact,
    Defragment,
    Disarm,
    TakeTurn,
    ReleaseTurn,
}

/// Every path, with the methods it takes.
const ROUTES: &[(&str, &[(Method, Call)])] = &[
    ("/v1/status", &[(Method::GET, Call::Status)]),
    ("/v1/leave", &[(Method::POST, Call::Leave)]),
    ("/v1/remove", &[(Method::POST, Call::Remove)]),
    ("/v1/compact", &[(Method::POST, Call::Compact)]),
    ("/v1/defragment", &[(Method::POST, Call::Defragment)]),
    ("/v1/alarms/disarm", &[(Method::POST, Call::Disarm)]),
    ("/v1/turn", &[(Method::POST, Call::TakeTurn), (Method::DELETE, Call::ReleaseTurn)]),
];

/// Answers one request.
pub async fn answer(life: &Arc<Life>, request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let Some((_, methods)) = ROUTES.iter().find(|(known, _)| *known == path) else {
        let error = format!("there is no {path}; docs/admin.md lists the paths");
        return reply::of::<()>(Err(Refusal::new(StatusCode::NOT_FOUND, "unknown-path", error)));
    };
    let Some((_, call)) = methods.iter().find(|(method, _)| method == request.method()) else {
        let allowed: Vec<&str> = methods.iter().map(|(method, _)| method.as_str()).collect();
        return reply::method_not_allowed(&allowed.join(", "));
    };
    match tokio::time::timeout(CALL_TIME_MAX, dispatch(*call, life, request)).await {
        Ok(reply) => reply,
        Err(_) => reply::of::<()>(Err(Refusal::new(
            StatusCode::GATEWAY_TIMEOUT,
            "timeout",
            format!("not done after {} s; what was started may go on", CALL_TIME_MAX.as_secs()),
        ))),
    }
}

async fn dispatch(call: Call, life: &Arc<Life>, request: Request<Incoming>) -> Reply {
    match call {
        Call::Status => reply::of(Ok(super::status::status(life).await)),
        Call::Leave => reply::of(calls::leave(life, request).await),
        Call::Remove => reply::of(calls::remove(life, request).await),
        Call::Compact => reply::of(calls::compact(life, request).await),
        Call::Defragment => reply::of(calls::defragment(life, request).await),
        Call::Disarm => reply::of(calls::disarm(life, request).await),
        Call::TakeTurn => reply::of(calls::take_turn(life, request).await),
        Call::ReleaseTurn => reply::of(calls::release_turn(life, &request).await),
    }
}
