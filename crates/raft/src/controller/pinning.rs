//! Incarnations of members that did not come by a claim: met and pinned by the leader, then made
//! part of the membership, so that they hold for members that never met each other.

use std::collections::BTreeMap;

use openraft::ChangeMembers;

use crate::node::Shared;
use crate::types::{Peer, StoredMembership};

/// The members whose incarnation this one knows and the membership does not.
pub(crate) struct Unrecorded {
    pub(crate) known: BTreeMap<u64, Peer>,
    /// Members of whom nobody's incarnation is known here yet.
    pub(crate) unknown: usize,
}

impl Shared {
    pub(crate) fn unrecorded_incarnations(&self, membership: &StoredMembership) -> Unrecorded {
        let mut unrecorded = Unrecorded { known: BTreeMap::new(), unknown: 0 };
        for (id, peer) in membership.nodes().filter(|(_, peer)| peer.incarnation.is_none()) {
            match self.local.incarnation_of(*id, peer) {
                Some(known) => {
                    let peer = Peer { incarnation: Some(known.0), ..peer.clone() };
                    unrecorded.known.insert(*id, peer);
                }
                None => unrecorded.unknown += 1,
            }
        }
        unrecorded
    }

    /// Whether it is time to record what is known: all of it, or the rest keeps away. So a new
    /// cluster needs one change and not one for each member.
    pub(crate) fn is_time_to_record(&self, unrecorded: &Unrecorded) -> bool {
        let settled = self.leads_since().is_some_and(|at| at.elapsed() >= self.election_timeout);
        !unrecorded.known.is_empty() && (unrecorded.unknown == 0 || settled)
    }

    /// Makes them part of the membership. The caller holds `changing`.
    pub(crate) async fn record_incarnations(
        &self,
        unrecorded: Unrecorded,
    ) -> Result<(), api::Error> {
        self.change_membership(ChangeMembers::SetNodes(unrecorded.known)).await.map(|_| ())
    }
}
