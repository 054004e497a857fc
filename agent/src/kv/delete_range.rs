//! DeleteRange: what is in the range goes in one revision.

use bytes::Bytes;
use store::{CommandKind, Op, Reply};

use crate::fault;
use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `DeleteRangeRequest`.
///
/// # Errors
/// Those of etcd-surface 1.5, `RequestTooLarge`, and those of a proposal.
pub async fn delete_range(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let command = member.command(CommandKind::DeleteRange, &raw)?;
    drop(raw);
    let Op::DeleteRange(request) = command.op() else {
        return Err(fault::mismatched_reply().into());
    };
    store::check_delete_range(request)?;
    match member.propose(command).await? {
        Reply::DeleteRange(mut response) => {
            member.complete(&mut response.header);
            Ok(Frame::encode(&response))
        }
        _ => Err(fault::mismatched_reply().into()),
    }
}
