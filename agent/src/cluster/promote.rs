//! MemberPromote: a learner that has caught up gets its vote.

use api::etcdserverpb::{MemberPromoteRequest, MemberPromoteResponse};
use bytes::Bytes;
use store::MemberId;

use super::{members, settle};
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MemberPromoteRequest`.
///
/// # Errors
/// `MemberNotFound`, `MemberNotLearner`, `LearnerNotReady`, and those of a membership change.
pub async fn promote(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MemberPromoteRequest = decode(raw)?;
    member.node.member_promote(MemberId(request.id)).await?;
    settle(member).await;
    tracing::info!(id = %MemberId(request.id), "promoted a member");
    let (header, members) = (Some(member.header_at(0)), members(member));
    Ok(Frame::encode(&MemberPromoteResponse { header, members }))
}
