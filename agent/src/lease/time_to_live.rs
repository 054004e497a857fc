//! LeaseTimeToLive: what the leader says is left.

use api::etcdserverpb::{LeaseTimeToLiveRequest, LeaseTimeToLiveResponse};
use bytes::Bytes;

use super::peer::TIME_TO_LIVE;
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `LeaseTimeToLiveRequest`.
///
/// # Errors
/// Those of asking the leader; an unknown lease is not one, it has -1 left.
pub async fn time_to_live(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    // Refuse here what the leader could not read.
    let _: LeaseTimeToLiveRequest = decode(raw.clone())?;
    // The leader must have applied what this client wrote before it asked.
    member.node.read_index().await?;
    let answer = member.node.call_leader(TIME_TO_LIVE, raw).await?;
    let mut response: LeaseTimeToLiveResponse = decode(answer)?;
    response.header = Some(member.header());
    Ok(Frame::encode(&response))
}
