//! `POST` and `DELETE /v1/turn`: one member at a time.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::member;
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::life::Life;
use crate::turn::{self, TTL_S_MAX};

/// How long a turn lasts when nobody says.
const TTL_S_DEFAULT: i64 = 120;

/// Which turn, and how long this member may keep it without taking it again.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Take {
    name: String,
    #[serde(default = "ttl_s_default")]
    ttl_s: i64,
}

fn ttl_s_default() -> i64 {
    TTL_S_DEFAULT
}

/// Who has the turn now.
#[derive(Serialize)]
pub struct Taken {
    holder: String,
}

/// Nothing to tell.
#[derive(Serialize)]
pub struct Released {}

/// Takes or renews a turn for this member.
///
/// # Errors
/// `taken` with its holder, `no-quorum`, `no-space`, `no-member`, `bad-request`.
pub async fn take_turn(life: &Arc<Life>, request: Request<Incoming>) -> Result<Taken, Refusal> {
    let Take { name, ttl_s } = request::json(request).await?;
    check_name(&name)?;
    if !(1..=TTL_S_MAX).contains(&ttl_s) {
        let error = format!("ttl_s is {ttl_s}: expected seconds from 1 to {TTL_S_MAX}");
        return Err(Refusal::bad_request(error));
    }
    turn::take(&*member(life)?, &name, life.name(), ttl_s).await?;
    Ok(Taken { holder: life.name().to_owned() })
}

/// Gives a turn of this member back; one that nobody has is no error.
///
/// # Errors
/// `taken` with its holder when that is another member, `no-quorum`, `no-member`, `bad-request`.
pub async fn release_turn(
    life: &Arc<Life>,
    request: &Request<Incoming>,
) -> Result<Released, Refusal> {
    let name = request::query(request, "name")
        .ok_or_else(|| Refusal::bad_request("which turn? as in /v1/turn?name=restart"))?;
    check_name(name)?;
    turn::release(&*member(life)?, name, life.name()).await?;
    Ok(Released {})
}

fn check_name(name: &str) -> Result<(), Refusal> {
    if turn::is_name(name) {
        return Ok(());
    }
    let max = turn::NAME_BYTES_MAX;
    Err(Refusal::bad_request(format!(
        "{name:?} is no name of a turn: expected 1 to {max} lower-case letters, digits and dashes"
    )))
}
