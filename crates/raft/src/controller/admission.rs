//! What becomes of a claim: a pure function of the claim and what the leader knows.

use super::claim::Claim;
use super::operation::OpenOperation;

/// Members that are to vote, at most. A write waits for a majority of them, and etcd's practical
/// advice ends at seven.
pub(crate) const VOTERS_MAX: usize = 7;

/// What the leader knows of a member's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Heard of within two election timeouts, or the leader itself.
    Alive,
    /// Not heard of for longer.
    Silent,
    /// The leader leads too briefly to tell.
    Unknown,
}

/// A member as the decision sees it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) id: u64,
    /// Empty until it has started.
    pub(crate) name: String,
    pub(crate) peer_urls: Vec<String>,
    /// The pin of the membership, else the leader's own.
    pub(crate) incarnation: Option<[u8; 16]>,
    pub(crate) life: Life,
    pub(crate) votes: bool,
    pub(crate) is_to_vote: bool,
}

/// What a claim is decided on.
pub(crate) struct Circumstances<'a> {
    pub(crate) members: &'a [Candidate],
    pub(crate) operation: Option<&'a OpenOperation>,
    /// Leads with a majority, and an entry of its own term is committed.
    pub(crate) leads_for_certain: bool,
    /// A change of membership is half done.
    pub(crate) is_changing: bool,
}

/// What to do with a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It is a member already.
    Granted(u64),
    /// The open operation is this claim's; go on with it.
    GoOn,
    /// It is the member that was added and never started.
    Adopt(u64),
    /// A new member comes in.
    Join,
    /// A new member comes in for one that is silent.
    Replace(u64),
    /// Not now.
    Wait(String),
    /// Not as things are.
    Refuse(String),
}

/// Decides.
pub(crate) fn decide(claim: &Claim, now: &Circumstances<'_>) -> Decision {
    if let Some(fault) = claim.fault() {
        return Decision::Refuse(format!("the claim cannot be granted: {fault}"));
    }
    if !now.leads_for_certain {
        return Decision::Wait("the leader has only just been elected".to_owned());
    }
    let claimant = Some(claim.incarnation.0);
    if let Some(own) = now.members.iter().find(|member| member.incarnation == claimant) {
        return Decision::Granted(own.id);
    }
    if let Some(wait) = busy(claim, now) {
        return wait;
    }
    let mut matches = now.members.iter().filter(|member| is_meant(claim, member));
    match (matches.next(), matches.next()) {
        (None, _) if voters(now) >= VOTERS_MAX => Decision::Refuse(format!(
            "the cluster has {VOTERS_MAX} voting members, which is the most; remove one first"
        )),
        (None, _) => Decision::Join,
        (Some(one), None) => succeed(claim, one),
        (Some(one), Some(other)) => Decision::Refuse(format!(
            "its name and peer URLs belong to two members, {:x} and {:x}; change the name or the \
             URLs, or remove one of them",
            one.id, other.id
        )),
    }
}

/// One newcomer at a time, one change at a time.
fn busy(claim: &Claim, now: &Circumstances<'_>) -> Option<Decision> {
    match now.operation {
        Some(open) if open.incarnation == Some(claim.incarnation.0) => return Some(Decision::GoOn),
        Some(open) => {
            let (kind, name) = (open.kind.as_str(), &open.name);
            return Some(Decision::Wait(format!("the {kind} of member {name:?} is under way")));
        }
        None => {}
    }
    if now.is_changing {
        return Some(Decision::Wait("the members are being changed".to_owned()));
    }
    // One that was added by hand and never started does not hold up its own claim.
    let learner =
        |member: &&Candidate| member.is_to_vote && !member.votes && !is_meant(claim, member);
    now.members
        .iter()
        .find(learner)
        .map(|member| Decision::Wait(format!("member {:x} has not caught up yet", member.id)))
}

fn is_meant(claim: &Claim, member: &Candidate) -> bool {
    member.name == claim.name || member.peer_urls.iter().any(|url| claim.peer_urls.contains(url))
}

fn voters(now: &Circumstances<'_>) -> usize {
    now.members.iter().filter(|member| member.is_to_vote).count()
}

/// The name or an address belongs to a member: is it this one, or one whose disk is gone?
fn succeed(claim: &Claim, member: &Candidate) -> Decision {
    let id = member.id;
    let has_started = member.incarnation.is_some() || !member.name.is_empty();
    match member.life {
        Life::Alive => Decision::Refuse(format!(
            "member {id:x} has the name or a peer URL of {:?} and is alive; change them, or stop \
             that member",
            claim.name
        )),
        // One that votes may have done so from a disk that this leader never met.
        _ if !has_started && !member.votes => Decision::Adopt(id),
        Life::Silent => Decision::Replace(id),
        Life::Unknown => Decision::Wait(format!("whether member {id:x} is alive is not known yet")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::claim::tests::claim;
    use super::super::operation::OperationKind;
    use super::super::operation::tests::operation;
    use super::*;

    fn member(id: u64, life: Life) -> Candidate {
        Candidate {
            id,
            name: format!("m{id}"),
            peer_urls: vec![format!("http://10.0.0.{id}:2380")],
            incarnation: Some([id as u8; 16]),
            life,
            votes: true,
            is_to_vote: true,
        }
    }

    fn decided(members: &[Candidate]) -> Decision {
        decided_with(members, None)
    }

    fn decided_with(members: &[Candidate], operation: Option<&OpenOperation>) -> Decision {
        let now = Circumstances { members, operation, leads_for_certain: true, is_changing: false };
        decide(&claim(), &now)
    }

    /// A member with the claimant's name.
    fn namesake(life: Life) -> Candidate {
        Candidate { name: "new".to_owned(), ..member(3, life) }
    }

    #[test]
    fn a_stranger_joins_until_there_are_seven_voters() {
        let six: Vec<_> = (10..16).map(|id| member(id, Life::Alive)).collect();
        assert_eq!(decided(&six), Decision::Join);
        let seven: Vec<_> = (10..17).map(|id| member(id, Life::Alive)).collect();
        assert!(matches!(decided(&seven), Decision::Refuse(_)));
        // A place that becomes free by the claim itself does not count.
        let mut with_namesake = seven;
        with_namesake[0] = namesake(Life::Silent);
        assert_eq!(decided(&with_namesake), Decision::Replace(3));
    }

    #[test]
    fn a_claim_that_was_granted_is_granted_again_whatever_else_is_under_way() {
        let own =
            Candidate { incarnation: Some([7; 16]), votes: false, ..member(3, Life::Unknown) };
        let other = operation(OperationKind::Move);
        assert_eq!(
            decided_with(&[member(1, Life::Alive), own], Some(&other)),
            Decision::Granted(3)
        );
    }

    #[test]
    fn a_member_that_is_alive_is_never_replaced_and_a_silent_one_is() {
        assert!(matches!(decided(&[namesake(Life::Alive)]), Decision::Refuse(_)));
        assert_eq!(decided(&[namesake(Life::Silent)]), Decision::Replace(3));
        assert!(matches!(decided(&[namesake(Life::Unknown)]), Decision::Wait(_)));
        let same_address = Candidate { peer_urls: claim().peer_urls, ..member(4, Life::Silent) };
        assert_eq!(decided(std::slice::from_ref(&same_address)), Decision::Replace(4));
        assert!(matches!(decided(&[same_address, namesake(Life::Silent)]), Decision::Refuse(_)));
    }

    #[test]
    fn a_member_that_never_started_is_adopted() {
        let added = Candidate {
            name: String::new(),
            incarnation: None,
            peer_urls: claim().peer_urls,
            votes: false,
            ..member(4, Life::Silent)
        };
        assert_eq!(decided(std::slice::from_ref(&added)), Decision::Adopt(4));
        // A founder: nobody here has met it, but it may have acknowledged what others wrote.
        let founder = Candidate { votes: true, ..added.clone() };
        assert_eq!(decided(std::slice::from_ref(&founder)), Decision::Replace(4));
        // Its disk is known, so it has started: the claimant is another one.
        let met = Candidate { incarnation: Some([9; 16]), ..added };
        assert_eq!(decided(&[met]), Decision::Replace(4));
    }

    #[test]
    fn one_newcomer_at_a_time() {
        let learner = Candidate { votes: false, ..member(2, Life::Alive) };
        assert!(matches!(decided(&[member(1, Life::Alive), learner]), Decision::Wait(_)));
        let other = operation(OperationKind::Join);
        assert!(matches!(decided_with(&[member(1, Life::Alive)], Some(&other)), Decision::Wait(_)));
        let own = OpenOperation { incarnation: Some([7; 16]), ..other };
        assert_eq!(decided_with(&[member(1, Life::Alive)], Some(&own)), Decision::GoOn);
    }

    #[test]
    fn a_leader_that_is_not_certain_or_is_changing_the_members_lets_claimants_wait() {
        for (leads_for_certain, is_changing) in [(false, false), (true, true)] {
            let now = Circumstances {
                members: &[member(1, Life::Alive)],
                operation: None,
                leads_for_certain,
                is_changing,
            };
            assert!(matches!(decide(&claim(), &now), Decision::Wait(_)));
        }
    }
}
