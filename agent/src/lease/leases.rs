//! LeaseLeases: every lease, the first to expire first.

use api::etcdserverpb::{LeaseLeasesResponse, LeaseStatus};
use bytes::Bytes;

use super::peer::{LIST, read_numbers};
use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `LeaseLeasesRequest`.
///
/// # Errors
/// Those of asking the leader.
pub async fn leases(member: &Member) -> Result<Frame, Failure> {
    member.node.read_index().await?;
    let answer = member.node.call_leader(LIST, Bytes::new()).await?;
    let leases = read_numbers(&answer)?.map(|id| LeaseStatus { id }).collect();
    Ok(Frame::encode(&LeaseLeasesResponse { header: Some(member.header()), leases }))
}
