//! Whether a call may be served by this member at all, before its message is looked at.

use api::Error;

use crate::member::Member;
use crate::server::method::Method;
use crate::server::status::Failure;

/// Checks what does not depend on the message.
///
/// # Errors
/// `NotSupportedForLearner`, `NoLeader` when the client insists on one, `Corrupt` while that alarm
/// is on.
pub fn admit(member: &Member, method: Method, requires_leader: bool) -> Result<(), Failure> {
    if member.is_learner() && !method.served_by_learner() {
        return Err(Error::NotSupportedForLearner.into());
    }
    if requires_leader && !member.has_leader() {
        return Err(Error::NoLeader.into());
    }
    if member.standing.is_corrupt() && touches_keys_or_leases(method) {
        return Err(Error::Corrupt.into());
    }
    Ok(())
}

fn touches_keys_or_leases(method: Method) -> bool {
    matches!(method.service(), "etcdserverpb.KV" | "etcdserverpb.Lease")
}

/// A learner serves a read only as it stands: being up to date takes a vote.
///
/// # Errors
/// `NotSupportedForLearner`.
pub fn admit_read(member: &Member, serializable: bool) -> Result<(), Error> {
    if !serializable && member.is_learner() {
        return Err(Error::NotSupportedForLearner);
    }
    Ok(())
}
