//! Taking a turn, and taking it again to keep it longer.

use api::Error;
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{LeaseGrantRequest, PutRequest};
use bytes::Bytes;
use rand::Rng;
use store::{Op, Reply};

use super::held::{Held, end_lease};
use super::{TurnError, key};
use crate::fault;
use crate::member::Member;

/// The key changed hands this often while this member tried to take it: somebody else wants it.
const ATTEMPTS_MAX: usize = 3;

/// Takes a turn for the member called `holder`, or renews the one it has. `ttl_s` is raised to the
/// shortest lease this cluster keeps.
///
/// Whoever waits for a turn and asks again and again writes nothing: only who can have it does.
///
/// # Errors
/// `Taken` while another member has it, and those of a proposal.
pub async fn take(member: &Member, name: &str, holder: &str, ttl_s: i64) -> Result<(), TurnError> {
    let key = key(name);
    for _ in 0..ATTEMPTS_MAX {
        let held = Held::read(member, &key).await?;
        if let Some(other) = held.holder.as_deref().filter(|other| *other != holder) {
            return Err(TurnError::Taken { holder: other.to_owned() });
        }
        let lease = grant(member, ttl_s).await?;
        match held.replace(member, &key, put(&key, holder, lease)).await {
            Ok(true) => {
                // The key belongs to the new lease now; the old one has nothing left.
                end_lease(member, held.lease).await;
                return Ok(());
            }
            Ok(false) => end_lease(member, lease).await,
            Err(error) => {
                // It may have been taken all the same: without its lease it has not. But who only
                // renews it still has it, and must not lose it to another by that.
                if held.holder.is_none() {
                    end_lease(member, lease).await;
                }
                return Err(error.into());
            }
        }
    }
    let text = format!("etcdserver: the turn {name} changes hands; try again");
    Err(Error::Unavailable(text).into())
}

async fn grant(member: &Member, ttl_s: i64) -> Result<i64, Error> {
    let request = LeaseGrantRequest {
        ttl: ttl_s.max(member.limits.lease_ttl_min_s),
        id: rand::rng().random_range(1..=i64::MAX),
    };
    match member.node.propose_op(Op::LeaseGrant(request)).await? {
        Reply::LeaseGrant(granted) => Ok(granted.id),
        _ => Err(fault::mismatched_reply()),
    }
}

fn put(key: &Bytes, holder: &str, lease: i64) -> Request {
    let value = Bytes::copy_from_slice(holder.as_bytes());
    Request::RequestPut(PutRequest { key: key.clone(), value, lease, ..Default::default() })
}
