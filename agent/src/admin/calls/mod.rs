//! What each path does.

mod compact;
mod defragment;
mod disarm;
mod leave;
mod remove;
mod turn;

use std::sync::Arc;

pub use compact::compact;
pub use defragment::defragment;
pub use disarm::disarm;
use http::StatusCode;
pub use leave::leave;
pub use remove::remove;
use serde::Deserialize;
pub use turn::{release_turn, take_turn};

use super::refusal::Refusal;
use crate::life::Life;
use crate::member::Member;

/// A body that says nothing; a key in it would be a mistake.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The member, if there is one.
fn member(life: &Life) -> Result<Arc<Member>, Refusal> {
    life.member().ok_or_else(|| {
        let stage = life.stage();
        let mut error = format!("there is no member to ask: the state is {}", stage.state.as_str());
        if !stage.reason.is_empty() {
            error = format!("{error} ({})", stage.reason);
        }
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "no-member", error)
    })
}
