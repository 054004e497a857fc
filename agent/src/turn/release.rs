//! Giving a turn back.

use api::Error;
use api::etcdserverpb::DeleteRangeRequest;
use api::etcdserverpb::request_op::Request;

use super::held::{Held, end_lease};
use super::{TurnError, key};
use crate::member::Member;

/// As often as this somebody may change the turn while this member gives it back.
const ATTEMPTS_MAX: usize = 3;

/// Gives back a turn that the member called `holder` has. One that nobody has is no error: giving
/// back twice is safe.
///
/// # Errors
/// `Taken` when another member has it, and those of a proposal.
pub async fn release(member: &Member, name: &str, holder: &str) -> Result<(), TurnError> {
    let key = key(name);
    for _ in 0..ATTEMPTS_MAX {
        let held = Held::read(member, &key).await?;
        match held.holder.as_deref() {
            None => return Ok(()),
            Some(other) if other != holder => {
                return Err(TurnError::Taken { holder: other.to_owned() });
            }
            Some(_) => {}
        }
        let delete = DeleteRangeRequest { key: key.clone(), ..Default::default() };
        if held.replace(member, &key, Request::RequestDeleteRange(delete)).await? {
            end_lease(member, held.lease).await;
            return Ok(());
        }
    }
    let text = format!("etcdserver: the turn {name} is being renewed; try again");
    Err(Error::Unavailable(text).into())
}
