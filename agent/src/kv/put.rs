//! Put: one key written, one revision.

use bytes::Bytes;
use store::{CommandKind, Op, Reply};

use crate::fault;
use crate::member::Member;
use crate::quota;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `PutRequest`.
///
/// # Errors
/// Those of etcd-surface 1.5, `RequestTooLarge`, `NoSpace`, and those of a proposal.
pub async fn put(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let command = member.command(CommandKind::Put, &raw)?;
    drop(raw);
    let Op::Put(request) = command.op() else { return Err(fault::mismatched_reply().into()) };
    store::check_put(request)?;
    quota::admit(member, store::put_cost(request)).await?;
    match member.propose(command).await? {
        Reply::Put(mut response) => {
            member.complete(&mut response.header);
            Ok(Frame::encode(&response))
        }
        _ => Err(fault::mismatched_reply().into()),
    }
}
