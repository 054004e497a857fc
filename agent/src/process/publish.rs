//! A member tells the others its name and where clients reach it.

use std::sync::Arc;
use std::time::Duration;

use store::{MemberAttributes, Op};

use crate::member::Member;

const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Publishes until it succeeds: without a quorum nobody could read it anyway.
pub async fn publish(member: Arc<Member>, name: String, client_urls: Vec<String>) {
    let attributes = MemberAttributes { member: member.node.member_id(), name, client_urls };
    let mut pause = PAUSE_MIN;
    loop {
        match member.node.propose_op(Op::MemberAttributes(attributes.clone())).await {
            Ok(_) => return,
            Err(error) => tracing::debug!(%error, "could not publish this member yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
