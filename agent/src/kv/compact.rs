//! Compact: history below a revision is given up at once, its rows are removed in the background.

use api::etcdserverpb::{CompactionRequest, CompactionResponse};
use bytes::Bytes;
use prost::Message;
use store::{Command, CommandKind, Op, Reply};

use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::method::Method;
use crate::server::status::Failure;
use crate::{fault, gate};

/// Answers a `CompactionRequest`; with `physical` only when the rows are gone from this member.
///
/// # Errors
/// `Compacted`, `FutureRevision`, and those of a proposal.
pub async fn compact(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let command = member.command(CommandKind::Compact, &raw)?;
    Ok(Frame::encode(&carry_out(member, command).await?))
}

/// Gives history up for somebody who is no client.
///
/// # Errors
/// As [`compact`], and `NotSupportedForLearner`, which clients are told before it comes to this.
pub async fn compact_to(
    member: &Member,
    request: CompactionRequest,
) -> Result<CompactionResponse, Failure> {
    gate::admit(member, Method::Compact, false)?;
    let command = member.command(CommandKind::Compact, &request.encode_to_vec())?;
    carry_out(member, command).await
}

async fn carry_out(member: &Member, command: Command) -> Result<CompactionResponse, Failure> {
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
    Ok(response)
}
