//! MoveLeader: the leader hands over to a member of the operator's choice.

use api::Error;
use api::etcdserverpb::{MoveLeaderRequest, MoveLeaderResponse};
use bytes::Bytes;
use store::MemberId;

use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `MoveLeaderRequest`; there is no header in the answer (etcd-surface 1.3).
///
/// # Errors
/// `NotLeader` on any other member, `BadLeaderTransferee`, `TransferTookTooLong`.
pub async fn move_leader(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: MoveLeaderRequest = decode(raw)?;
    if !member.node.status().is_leader {
        return Err(Error::NotLeader.into());
    }
    member.node.move_leader(MemberId(request.target_id)).await?;
    Ok(Frame::encode(&MoveLeaderResponse::default()))
}
