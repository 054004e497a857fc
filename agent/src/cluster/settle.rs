//! What a client changed through a member, that member must know.

use std::time::Duration;

use crate::member::Member;

/// A member that was removed, or lost its leader, does not hold up the answer longer than this.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// Waits until a change of the membership that the leader has made stands here too.
///
/// The leader answers when it has applied the change itself; a follower that passed the request on
/// may be an entry behind. etcd answers once the member asked has applied it, and `etcdctl member
/// add` relies on that: it lists the members right afterwards, without a linearizable read.
pub async fn settle(member: &Member) {
    // The change is made, whatever happens here: the client is told so.
    let settled = tokio::time::timeout(SETTLE_MAX, member.node.read_index()).await;
    if !matches!(settled, Ok(Ok(()))) {
        tracing::info!("a membership change was made and is not known to be applied here yet");
    }
}
