//! MemberList: from here, or as everybody agrees.

use api::etcdserverpb::{MemberListRequest, MemberListResponse};
use bytes::Bytes;

use super::members;
use crate::gate;
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MemberListRequest`.
///
/// # Errors
/// Those of a linearizable read when the client asks for one.
pub async fn list(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MemberListRequest = decode(raw)?;
    if request.linearizable {
        gate::admit_read(member, false)?;
        member.node.read_index().await?;
    }
    let (header, members) = (Some(member.header_at(0)), members(member));
    Ok(Frame::encode(&MemberListResponse { header, members }))
}
