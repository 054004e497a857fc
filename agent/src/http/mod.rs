//! What a member says over plain HTTP: health, version and metrics, with etcd's paths and shapes
//! (etcd-surface 3.1).

mod cors;
mod health;
mod probes;
mod query;
mod reply;
mod version;

use std::sync::Arc;

use http::{Method, Request, Response};

use self::query::Query;
use crate::member::Member;
use crate::server::body::Answer;

/// Answers an HTTP request on the client port, where web pages may come from anywhere.
pub async fn handle_client<B>(member: &Arc<Member>, request: Request<B>) -> Response<Answer> {
    let mut response = match *request.method() {
        // What a browser asks before the request proper: any path will do.
        Method::OPTIONS => Response::new(Answer::Empty),
        _ => handle(member, request).await,
    };
    cors::allow_all(response.headers_mut());
    response
}

/// Answers an HTTP request.
pub async fn handle<B>(member: &Arc<Member>, request: Request<B>) -> Response<Answer> {
    let path = request.uri().path();
    if path == "/metrics" {
        return metrics(member, &request);
    }
    let is_known = matches!(path, "/health" | "/version") || probes::find(path).is_some();
    if !is_known {
        return reply::not_found();
    }
    if request.method() != Method::GET {
        return reply::method_not_allowed();
    }
    let query = Query::new(request.uri().query());
    match path {
        "/health" => health::answer(member, &query).await,
        "/version" => version::answer(member),
        probe => match probes::find(probe) {
            Some(checks) => probes::answer(member, checks, &query).await,
            None => reply::not_found(),
        },
    }
}

fn metrics<B>(member: &Arc<Member>, request: &Request<B>) -> Response<Answer> {
    let accept = request.headers().get(http::header::ACCEPT);
    let openmetrics = accept
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("application/openmetrics-text"));
    let text = member.metrics.render(member, openmetrics);
    let kind = if openmetrics {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    reply::with(http::StatusCode::OK, kind, text)
}
