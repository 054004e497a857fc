//! What an open operation needs next: a pure function of the record, the membership and what the
//! leader knows of the newcomer.

use std::time::Duration;

use super::operation::{OpenOperation, OperationKind};
use super::quorum::Clearance;
use crate::types::{Peer, StoredMembership};

/// A newcomer that nothing has been heard of for this long is given up.
pub(crate) const LEARNER_SILENCE_MAX: Duration = Duration::from_secs(300);

/// What a step is decided on.
pub(crate) struct Facts<'a> {
    pub(crate) operation: &'a OpenOperation,
    /// The newest membership in the log.
    pub(crate) membership: &'a StoredMembership,
    /// The operation's member was removed for good.
    pub(crate) is_buried: bool,
    /// Whether whoever the operation takes out may go now. It was decided when the operation began,
    /// but perhaps by another leader, and who lives may have changed since.
    pub(crate) clearance: Clearance,
    /// The newcomer has nearly all of the log.
    pub(crate) has_caught_up: bool,
    /// How long the newcomer has not been heard of.
    pub(crate) silence: Duration,
    /// The leader's clock, seconds since 1970.
    pub(crate) now_s: u64,
}

/// What to do next. Every step may be repeated: it is decided again from what it has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bring a half-done change to its end.
    Settle,
    /// Wait until it is known who of the members is alive.
    Wait,
    /// Take a member out.
    Remove(u64),
    /// Take the newcomer in, without a vote.
    Add(u64, Peer),
    /// Wait until the newcomer has caught up.
    CatchUp,
    /// Give it its vote.
    Promote(u64),
    /// Change where a member is reached.
    Move(u64, Peer),
    /// Give up: take the newcomer out again.
    RollBack(u64),
    /// It must not be done any more, and nothing of it has been: close it.
    GiveUp,
    /// Nothing is left to do.
    Close,
}

impl Step {
    /// The phase as people read it.
    pub(crate) fn phase(&self) -> &'static str {
        match self {
            Self::Settle => "settling",
            Self::Wait => "waiting",
            Self::Remove(_) => "removing",
            Self::Add(..) => "adding",
            Self::CatchUp => "catching-up",
            Self::Promote(_) => "promoting",
            Self::Move(..) => "moving",
            Self::RollBack(_) => "rolling-back",
            Self::GiveUp => "giving-up",
            Self::Close => "closing",
        }
    }
}

/// Decides.
pub(crate) fn next_step(facts: &Facts<'_>) -> Step {
    let (operation, membership) = (facts.operation, facts.membership);
    if membership.get_joint_config().len() > 1 {
        return Step::Settle;
    }
    match operation.kind {
        OperationKind::Join | OperationKind::Replace => newcomer(facts),
        OperationKind::Remove | OperationKind::Leave => match holds(membership, operation.member) {
            true => take_out(facts, operation.member),
            false => Step::Close,
        },
        OperationKind::Promote => match membership.get_node(&operation.member) {
            Some(_) if !votes(membership, operation.member) => Step::Promote(operation.member),
            _ => Step::Close,
        },
        OperationKind::Move => match membership.get_node(&operation.member) {
            Some(peer) if peer.peer_urls != operation.peer_urls => {
                let peer = Peer { peer_urls: operation.peer_urls.clone(), ..peer.clone() };
                Step::Move(operation.member, peer)
            }
            _ => Step::Close,
        },
    }
}

/// Remove whom it replaces, add it as a learner, let it catch up, give it its vote.
fn newcomer(facts: &Facts<'_>) -> Step {
    let (operation, membership) = (facts.operation, facts.membership);
    let member = operation.member;
    if facts.is_buried || votes(membership, member) {
        return Step::Close;
    }
    let is_late = facts.now_s >= operation.deadline_s;
    if holds(membership, member) {
        return match facts.has_caught_up {
            true => Step::Promote(member),
            false if is_late || facts.silence >= LEARNER_SILENCE_MAX => Step::RollBack(member),
            false => Step::CatchUp,
        };
    }
    if is_late {
        return Step::Close;
    }
    match operation.replaces {
        Some(old) if holds(membership, old) => take_out(facts, old),
        _ => Step::Add(
            member,
            Peer {
                peer_urls: operation.peer_urls.clone(),
                becomes_voter: true,
                incarnation: operation.incarnation,
            },
        ),
    }
}

/// An operation that would do harm by now is given up before it has done anything.
fn take_out(facts: &Facts<'_>, member: u64) -> Step {
    match facts.clearance {
        Clearance::Clear => Step::Remove(member),
        Clearance::Unclear => Step::Wait,
        Clearance::Harmful => Step::GiveUp,
    }
}

fn holds(membership: &StoredMembership, member: u64) -> bool {
    membership.get_node(&member).is_some()
}

fn votes(membership: &StoredMembership, member: u64) -> bool {
    membership.voter_ids().any(|id| id == member)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::operation::tests::operation;
    use super::*;
    use crate::types::Membership;

    const EARLY: u64 = 1_500;
    const LATE: u64 = 2_000;

    fn membership(voters: &[&[u64]], nodes: &[u64]) -> StoredMembership {
        let voters = voters.iter().map(|set| BTreeSet::from_iter(set.iter().copied())).collect();
        let nodes: BTreeMap<u64, Peer> = nodes.iter().map(|id| (*id, Peer::default())).collect();
        StoredMembership::new(None, Membership::new(voters, nodes).expect("voters have nodes"))
    }

    fn step(kind: OperationKind, membership: &StoredMembership, now_s: u64) -> Step {
        step_with(kind, membership, now_s, false, Duration::ZERO)
    }

    fn step_with(
        kind: OperationKind,
        membership: &StoredMembership,
        now_s: u64,
        has_caught_up: bool,
        silence: Duration,
    ) -> Step {
        next_step(&Facts {
            operation: &operation(kind),
            membership,
            is_buried: false,
            clearance: Clearance::Clear,
            has_caught_up,
            silence,
            now_s,
        })
    }

    #[test]
    fn a_replacement_goes_from_old_to_new_with_one_vacancy_and_one_learner_at_most() {
        use OperationKind::Replace;
        let before = membership(&[&[1, 2, 3]], &[1, 2, 3]);
        assert_eq!(step(Replace, &before, EARLY), Step::Remove(3));
        let vacant = membership(&[&[1, 2]], &[1, 2]);
        let Step::Add(9, peer) = step(Replace, &vacant, EARLY) else { panic!("the newcomer") };
        assert_eq!((peer.becomes_voter, peer.incarnation), (true, Some([4; 16])));
        let learning = membership(&[&[1, 2]], &[1, 2, 9]);
        assert_eq!(step(Replace, &learning, EARLY), Step::CatchUp);
        let promoted = step_with(Replace, &learning, EARLY, true, Duration::ZERO);
        assert_eq!(promoted, Step::Promote(9));
        let joint = membership(&[&[1, 2], &[1, 2, 9]], &[1, 2, 9]);
        assert_eq!(step(Replace, &joint, EARLY), Step::Settle);
        assert_eq!(step(Replace, &membership(&[&[1, 2, 9]], &[1, 2, 9]), EARLY), Step::Close);
    }

    #[test]
    fn a_newcomer_that_is_late_or_silent_is_taken_out_and_a_caught_up_one_never() {
        use OperationKind::Join;
        let learning = membership(&[&[1]], &[1, 9]);
        assert_eq!(step(Join, &learning, LATE), Step::RollBack(9));
        let silent = step_with(Join, &learning, EARLY, false, LEARNER_SILENCE_MAX);
        assert_eq!(silent, Step::RollBack(9));
        assert_eq!(step_with(Join, &learning, LATE, true, Duration::ZERO), Step::Promote(9));
        // Taken out, or recorded and never added: nothing is begun after the deadline.
        assert_eq!(step(Join, &membership(&[&[1]], &[1]), LATE), Step::Close);
    }

    #[test]
    fn a_newcomer_that_was_removed_meanwhile_is_not_added_again() {
        let facts = |operation| {
            next_step(&Facts {
                operation,
                membership: &membership(&[&[1]], &[1]),
                is_buried: true,
                clearance: Clearance::Clear,
                has_caught_up: false,
                silence: Duration::ZERO,
                now_s: EARLY,
            })
        };
        assert_eq!(facts(&operation(OperationKind::Join)), Step::Close);
    }

    #[test]
    fn removals_promotions_and_moves_are_done_once() {
        let with = membership(&[&[1]], &[1, 9]);
        let without = membership(&[&[1]], &[1]);
        for kind in [OperationKind::Remove, OperationKind::Leave] {
            assert_eq!(step(kind, &with, EARLY), Step::Remove(9));
            assert_eq!(step(kind, &without, EARLY), Step::Close);
        }
        assert_eq!(step(OperationKind::Promote, &with, EARLY), Step::Promote(9));
        assert_eq!(step(OperationKind::Promote, &without, EARLY), Step::Close);
        let Step::Move(9, peer) = step(OperationKind::Move, &with, EARLY) else { panic!("9") };
        assert_eq!(peer.peer_urls, operation(OperationKind::Move).peer_urls);
        let moved = BTreeMap::from([(1, Peer::default()), (9, peer)]);
        let voters = vec![BTreeSet::from([1])];
        let moved = Membership::new(voters, moved).expect("voters have nodes");
        let moved = StoredMembership::new(None, moved);
        assert_eq!(step(OperationKind::Move, &moved, EARLY), Step::Close);
    }

    #[test]
    fn a_removal_that_would_do_harm_by_now_is_given_up_and_one_that_is_not_clear_waits() {
        let all = membership(&[&[1, 3, 9]], &[1, 3, 9]);
        for kind in [OperationKind::Remove, OperationKind::Leave, OperationKind::Replace] {
            let operation = &operation(kind);
            let membership = match kind {
                OperationKind::Replace => &membership(&[&[1, 2, 3]], &[1, 2, 3]),
                _ => &all,
            };
            let step = |clearance| {
                next_step(&Facts {
                    operation,
                    membership,
                    is_buried: false,
                    clearance,
                    has_caught_up: false,
                    silence: Duration::ZERO,
                    now_s: EARLY,
                })
            };
            assert_eq!(step(Clearance::Harmful), Step::GiveUp, "{kind:?}");
            assert_eq!(step(Clearance::Unclear), Step::Wait, "{kind:?}");
            assert!(matches!(step(Clearance::Clear), Step::Remove(_)), "{kind:?}");
        }
    }
}
