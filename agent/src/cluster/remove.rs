//! MemberRemove: a member leaves for good; its id is never used again.

use api::etcdserverpb::{MemberRemoveRequest, MemberRemoveResponse};
use bytes::Bytes;
use store::MemberId;

use super::{members, settle};
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MemberRemoveRequest`.
///
/// # Errors
/// `MemberNotFound`, and those of a membership change (etcd-surface 1.13).
pub async fn remove(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MemberRemoveRequest = decode(raw)?;
    member.node.member_remove(MemberId(request.id)).await?;
    settle(member).await;
    tracing::info!(id = %MemberId(request.id), "removed a member");
    let (header, members) = (Some(member.header_at(0)), members(member));
    Ok(Frame::encode(&MemberRemoveResponse { header, members }))
}
