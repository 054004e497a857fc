//! LeaseRevoke: the lease and its keys go in one revision.

use api::etcdserverpb::LeaseRevokeRequest;
use bytes::Bytes;
use store::{LeaseId, Op, Reply};

use crate::fault;
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `LeaseRevokeRequest`.
///
/// # Errors
/// `LeaseNotFound`, and those of a proposal.
pub async fn revoke(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: LeaseRevokeRequest = decode(raw)?;
    let op = Op::LeaseRevoke(vec![LeaseId(request.id)]);
    match member.node.propose_op(op).await? {
        Reply::LeaseRevoke(mut response) => {
            member.complete(&mut response.header);
            Ok(Frame::encode(&response))
        }
        _ => Err(fault::mismatched_reply().into()),
    }
}
