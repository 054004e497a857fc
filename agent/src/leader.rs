//! What follows from a change of leadership: a log line, a count, and the cluster version.

use std::sync::Arc;
use std::time::Duration;

use api::ETCD_CLUSTER_VERSION;
use raft::Leadership;
use store::Op;

use crate::member::Member;

const RETRY: Duration = Duration::from_secs(1);

/// Follows the leadership until the node stops.
pub async fn run(member: Arc<Member>) {
    let mut leadership = member.node.leadership();
    let mut known = Leadership::default();
    loop {
        let current = *leadership.borrow_and_update();
        note(&member, &known, &current);
        known = current;
        if current.is_self && !decide_version(&member).await {
            tokio::time::sleep(RETRY).await;
            continue;
        }
        if leadership.changed().await.is_err() {
            return;
        }
    }
}

fn note(member: &Member, known: &Leadership, current: &Leadership) {
    if known.leader == current.leader {
        return;
    }
    match current.leader {
        Some(leader) => {
            member.metrics.leader_changed();
            tracing::info!(%leader, term = current.term, is_self = current.is_self, "leader changed");
        }
        None => tracing::warn!(term = current.term, "no leader"),
    }
}

/// Decides the cluster version once; it never goes back (etcd-surface 3.1, `/version`).
async fn decide_version(member: &Member) -> bool {
    let decided = member.store.read(|store| store.cluster_version().map(str::to_owned));
    if decided.as_deref().is_some_and(|decided| !is_older(decided, ETCD_CLUSTER_VERSION)) {
        return true;
    }
    let op = Op::ClusterVersion(ETCD_CLUSTER_VERSION.to_owned());
    match member.node.propose_op(op).await {
        Ok(_) => {
            tracing::info!(version = ETCD_CLUSTER_VERSION, "decided the cluster version");
            true
        }
        Err(error) => {
            tracing::debug!(%error, "could not decide the cluster version yet");
            false
        }
    }
}

/// Compares by number; what is no version counts as oldest.
fn is_older(version: &str, than: &str) -> bool {
    let numbers = |text: &str| -> Vec<u64> {
        text.split('.').map_while(|number| number.parse().ok()).collect()
    };
    numbers(version) < numbers(than)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_older("3.9.0", "3.10.0"));
        assert!(!is_older("3.10.0", "3.9.0"));
        assert!(!is_older("3.7.0", "3.7.0"));
        assert!(is_older("garbage", "3.7.0"));
    }
}
