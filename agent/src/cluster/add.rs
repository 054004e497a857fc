//! MemberAdd: a voter or a learner comes in, before its process starts.

use api::etcdserverpb::{MemberAddRequest, MemberAddResponse};
use bytes::Bytes;

use super::{member_message, members, settle, urls};
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MemberAddRequest`.
///
/// # Errors
/// `MemberBadUrls`, and those of a membership change (etcd-surface 1.13).
pub async fn add(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MemberAddRequest = decode(raw)?;
    let peer_urls = urls::checked(&request.peer_ur_ls)?;
    let added = member.node.member_add(peer_urls, request.is_learner).await?;
    settle(member).await;
    tracing::info!(id = %added.id, learner = request.is_learner, "added a member");
    Ok(Frame::encode(&MemberAddResponse {
        header: Some(member.header_at(0)),
        member: Some(member_message(added)),
        members: members(member),
    }))
}
