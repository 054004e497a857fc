//! `POST /v1/leave`: this member gives its place up.

use std::sync::Arc;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;

use super::Nothing;
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::life::{Life, State};

/// The state it ends in.
#[derive(Serialize)]
pub struct Left {
    state: &'static str,
}

/// Leaves, and answers when nothing of the member is left but the process; again is no error.
///
/// # Errors
/// `last-voter`, `no-quorum`, `no-member` before there is anything to leave, `failed`.
pub async fn leave(life: &Arc<Life>, request: Request<Incoming>) -> Result<Left, Refusal> {
    let Nothing {} = request::json(request).await?;
    match life.stage().state {
        State::Joining | State::Refused => {
            let error = "there is no place in a cluster to leave yet: stop the process instead";
            return Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no-member", error));
        }
        State::Starting | State::Member | State::Leaving | State::Left => life.leave().await?,
    }
    Ok(Left { state: State::Left.as_str() })
}
