//! Compact: history below a revision is given up at once, its rows are removed in the background.

use api::etcdserverpb::CompactionRequest;
use bytes::Bytes;
use store::{CommandKind, Op, Reply};

use crate::fault;
use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `CompactionRequest`; with `physical` only when the rows are gone from this member.
///
/// # Errors
/// `Compacted`, `FutureRevision`, and those of a proposal.
pub async fn compact(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let command = member.command(CommandKind::Compact, &raw)?;
    let Op::Compact(CompactionRequest { revision, physical }) = *command.op() else {
        return Err(fault::mismatched_reply().into());
    };
    let Reply::Compact(mut response) = member.propose(command).await? else {
        return Err(fault::mismatched_reply().into());
    };
    if physical {
        member.standing.removed_up_to(revision).await;
    }
    member.complete(&mut response.header);
    Ok(Frame::encode(&response))
}
