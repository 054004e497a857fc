//! MemberUpdate: a member is reached elsewhere.

use api::etcdserverpb::{MemberUpdateRequest, MemberUpdateResponse};
use bytes::Bytes;
use store::MemberId;

use super::{members, settle, urls};
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MemberUpdateRequest`.
///
/// # Errors
/// `MemberBadUrls`, `MemberNotFound`, `PeerUrlExist`, and those of a membership change.
pub async fn update(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MemberUpdateRequest = decode(raw)?;
    let peer_urls = urls::checked(&request.peer_ur_ls)?;
    member.node.member_update(MemberId(request.id), peer_urls).await?;
    settle(member).await;
    tracing::info!(id = %MemberId(request.id), "changed the peer addresses of a member");
    let (header, members) = (Some(member.header_at(0)), members(member));
    Ok(Frame::encode(&MemberUpdateResponse { header, members }))
}
