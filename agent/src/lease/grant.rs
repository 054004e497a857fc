//! LeaseGrant: an id and a time to live that is long enough to be kept alive.

use api::Error;
use api::etcdserverpb::LeaseGrantRequest;
use bytes::Bytes;
use rand::Rng;
use store::{LEASE_TTL_S_MAX, Op, Reply};

use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;
use crate::{fault, quota};

/// Answers a `LeaseGrantRequest`.
///
/// # Errors
/// `LeaseTtlTooLarge`, `LeaseExist`, `NoSpace`, and those of a proposal.
pub async fn grant(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request = settle(decode(raw)?, member.limits.lease_ttl_min_s)?;
    quota::admit(member, store::LEASE_COST_BYTES).await?;
    match member.node.propose_op(Op::LeaseGrant(request)).await? {
        Reply::LeaseGrant(mut response) => {
            member.complete(&mut response.header);
            Ok(Frame::encode(&response))
        }
        _ => Err(fault::mismatched_reply().into()),
    }
}

/// Chooses the id when the client leaves it open, and raises the time to live to the minimum.
fn settle(mut request: LeaseGrantRequest, ttl_min_s: i64) -> Result<LeaseGrantRequest, Error> {
    if request.ttl > LEASE_TTL_S_MAX {
        return Err(Error::LeaseTtlTooLarge);
    }
    request.ttl = request.ttl.max(ttl_min_s);
    if request.id == 0 {
        request.id = rand::rng().random_range(1..=i64::MAX);
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled(ttl: i64, id: i64) -> Result<LeaseGrantRequest, Error> {
        settle(LeaseGrantRequest { ttl, id }, 2)
    }

    #[test]
    fn short_lives_are_raised_to_the_minimum() {
        for ttl in [i64::MIN, -1, 0, 1, 2] {
            assert_eq!(settled(ttl, 7), Ok(LeaseGrantRequest { ttl: 2, id: 7 }));
        }
        assert_eq!(settled(3, 7), Ok(LeaseGrantRequest { ttl: 3, id: 7 }));
    }

    #[test]
    fn a_life_of_three_centuries_is_too_long() {
        assert!(settled(LEASE_TTL_S_MAX, 7).is_ok());
        assert_eq!(settled(LEASE_TTL_S_MAX + 1, 7), Err(Error::LeaseTtlTooLarge));
    }

    #[test]
    fn ids_left_open_are_chosen_positive() {
        let ids: Vec<i64> = (0..100).map(|_| settled(5, 0).expect("valid").id).collect();
        assert!(ids.iter().all(|id| *id > 0));
        assert!(ids.iter().any(|id| *id != ids[0]));
    }
}
