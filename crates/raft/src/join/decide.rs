//! What a directory is to do next: a pure function of its state and of what the seeds answered.
//!
//! The rules, the first that fits: a valid directory resumes and asks nobody; one of a member that
//! is no more is put aside; a new one claims from a cluster that answers; nobody's answer is never
//! taken for nobody's existence, so without an answer only a founder begins, and only one that was
//! told to (`new`).

use storage::Past;
use store::MemberId;

use super::directory::DirectoryState;
use super::probe::Answer;

/// What is decided on.
pub(super) struct Situation<'a> {
    pub(super) state: DirectoryState,
    /// `--initial-cluster-state new`.
    pub(super) may_found: bool,
    /// The cluster and the member this would be as a founder.
    pub(super) founder: (u64, MemberId),
    /// It is to be the only founder.
    pub(super) is_lone: bool,
    pub(super) has_seeds: bool,
    /// What the directory was before, or wanted to become.
    pub(super) past: Option<Past>,
    pub(super) answers: &'a [Answer],
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Start as the member it is.
    Resume,
    /// Start as a founder.
    Found,
    /// Claim membership of this cluster.
    Claim { cluster: u64 },
    /// Put aside what is there, then look again.
    Archive,
    /// It has left and is not asked back.
    StayAway,
    /// Try again later.
    Wait(String),
    /// The seeds lead to another cluster.
    Refuse { found: u64, own: u64 },
}

/// Decides.
pub(super) fn decide(now: &Situation<'_>) -> Action {
    match now.state {
        DirectoryState::Valid => Action::Resume,
        DirectoryState::Removed => Action::Archive,
        DirectoryState::Left if now.has_seeds => Action::Archive,
        DirectoryState::Left => Action::StayAway,
        DirectoryState::New => begin(now),
    }
}

/// A directory that belongs to no member.
fn begin(now: &Situation<'_>) -> Action {
    // A member that knows no members yet has not founded its cluster and can admit nobody.
    let mut clusters: Vec<u64> = now
        .answers
        .iter()
        .filter(|answer| !answer.found.members.is_empty())
        .map(|answer| answer.found.cluster)
        .collect();
    clusters.sort_unstable();
    clusters.dedup();
    match clusters[..] {
        [] if !now.may_found => Action::Wait(nobody(now)),
        [] if now.past.is_some() => Action::Wait(format!(
            "{}; this directory had or claimed a membership before and founds no cluster: to found \
             one, choose an empty data directory",
            nobody(now)
        )),
        [] => match now.answers.iter().find(|answer| is_of_a_cluster(now, answer)) {
            Some(answer) => Action::Wait(format!(
                "{} belongs to cluster {:x} and cannot tell its members yet, so no cluster is founded",
                answer.address, answer.found.cluster
            )),
            None => Action::Found,
        },
        [found] => match now.past.and_then(|past| past.cluster).filter(|own| *own != found) {
            Some(own) => Action::Refuse { found, own },
            None if now.may_found && is_awaited_founder(now, found) => Action::Found,
            None => Action::Claim { cluster: found },
        },
        [one, other, ..] => Action::Wait(format!(
            "the seeds belong to different clusters, {one:x} and {other:x}; correct --join-seeds"
        )),
    }
}

/// One that knows no members yet is another founder that starts just now, or was admitted to a
/// cluster that exists, perhaps to the one that this founder founded before it lost its disk.
fn is_of_a_cluster(now: &Situation<'_>, answer: &Answer) -> bool {
    now.is_lone || answer.found.cluster != now.founder.0
}

/// The others have founded the cluster already and wait for this founder's first start. One that
/// is behind may say so of a founder that others have met, or have removed: they count more.
fn is_awaited_founder(now: &Situation<'_>, found: u64) -> bool {
    let (cluster, member) = now.founder;
    let is_awaited = |answer: &Answer| {
        answer.found.members.iter().any(|known| known.id == member.0 && !known.is_pinned)
    };
    let knows_better = |answer: &Answer| !answer.found.members.is_empty() && !is_awaited(answer);
    cluster == found
        && now.past.is_none()
        && now.answers.iter().any(is_awaited)
        && !now.answers.iter().any(knows_better)
}

fn nobody(now: &Situation<'_>) -> String {
    if now.has_seeds {
        "no member of the cluster answers at the seeds yet; check that one runs and that \
         --join-seeds has its peer URL"
            .to_owned()
    } else {
        "there are no seeds yet; name peer URLs of members with --join-seeds".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::{Discovered, DiscoveredMember};

    const FOUNDER: (u64, MemberId) = (0xc, MemberId(1));

    fn answer(cluster: u64, members: &[(u64, bool)]) -> Answer {
        let member = |&(id, is_pinned)| DiscoveredMember { id, peer_urls: Vec::new(), is_pinned };
        Answer {
            address: "127.0.0.1:1".to_owned(),
            found: Discovered {
                cluster,
                members: members.iter().map(member).collect(),
                removed: Vec::new(),
            },
        }
    }

    fn decided(state: DirectoryState, may_found: bool, answers: &[Answer]) -> Action {
        let has_seeds = true;
        decide(&Situation {
            state,
            may_found,
            founder: FOUNDER,
            is_lone: false,
            has_seeds,
            past: None,
            answers,
        })
    }

    #[test]
    fn a_valid_directory_resumes_whatever_anybody_says() {
        for answers in [vec![], vec![answer(9, &[(2, true)])]] {
            assert_eq!(decided(DirectoryState::Valid, true, &answers), Action::Resume);
            assert_eq!(decided(DirectoryState::Valid, false, &answers), Action::Resume);
        }
    }

    #[test]
    fn without_an_answer_only_a_founder_begins() {
        for answers in [vec![], vec![answer(FOUNDER.0, &[])]] {
            assert_eq!(decided(DirectoryState::New, true, &answers), Action::Found);
            assert!(matches!(decided(DirectoryState::New, false, &answers), Action::Wait(_)));
        }
    }

    #[test]
    fn a_cluster_that_answers_is_joined_even_by_one_that_may_found() {
        let answers = [answer(9, &[(2, true)]), answer(9, &[(2, true)])];
        for may_found in [false, true] {
            let claim = Action::Claim { cluster: 9 };
            assert_eq!(decided(DirectoryState::New, may_found, &answers), claim);
        }
    }

    #[test]
    fn a_founder_starts_late_as_itself_but_on_a_lost_disk_as_a_claimant() {
        let late = [answer(FOUNDER.0, &[(1, false), (2, true)])];
        assert_eq!(decided(DirectoryState::New, true, &late), Action::Found);
        let lost = [answer(FOUNDER.0, &[(1, true), (2, true)])];
        assert_eq!(decided(DirectoryState::New, true, &lost), Action::Claim { cluster: 0xc });
        assert_eq!(decided(DirectoryState::New, false, &late), Action::Claim { cluster: 0xc });
    }

    #[test]
    fn a_founder_that_somebody_has_met_or_removed_is_not_awaited_whatever_others_say() {
        let behind = answer(FOUNDER.0, &[(1, false), (2, true)]);
        for better in [&[(1, true), (2, true)][..], &[(2, true), (3, true)]] {
            let answers = [behind.clone(), answer(FOUNDER.0, better)];
            let claim = Action::Claim { cluster: FOUNDER.0 };
            assert_eq!(decided(DirectoryState::New, true, &answers), claim);
        }
    }

    #[test]
    fn a_member_that_knows_no_members_yet_is_a_sign_of_a_cluster_all_the_same() {
        let founding = |is_lone, cluster| {
            decide(&Situation {
                state: DirectoryState::New,
                may_found: true,
                founder: FOUNDER,
                is_lone,
                has_seeds: true,
                past: None,
                answers: &[answer(cluster, &[])],
            })
        };
        assert_eq!(founding(false, FOUNDER.0), Action::Found, "its fellow founder");
        // Only this one could have admitted it, before its disk was lost.
        assert!(matches!(founding(true, FOUNDER.0), Action::Wait(_)));
        assert!(matches!(founding(false, 9), Action::Wait(_)));
    }

    #[test]
    fn a_directory_with_a_past_founds_nothing_although_it_was_told_to() {
        for cluster in [None, Some(FOUNDER.0)] {
            let now = |answers| {
                decide(&Situation {
                    state: DirectoryState::New,
                    may_found: true,
                    founder: FOUNDER,
                    is_lone: true,
                    has_seeds: false,
                    past: Some(Past { cluster }),
                    answers,
                })
            };
            assert!(matches!(now(&[]), Action::Wait(_)));
            let awaited = [answer(FOUNDER.0, &[(1, false), (2, true)])];
            assert_eq!(now(&awaited), Action::Claim { cluster: FOUNDER.0 });
        }
    }

    #[test]
    fn seeds_of_different_clusters_decide_nothing() {
        let answers = [answer(8, &[(2, true)]), answer(9, &[(2, true)])];
        assert!(matches!(decided(DirectoryState::New, true, &answers), Action::Wait(_)));
    }

    #[test]
    fn one_that_was_archived_joins_its_own_cluster_or_none() {
        let again = |answers: &[Answer]| {
            decide(&Situation {
                state: DirectoryState::New,
                may_found: true,
                founder: FOUNDER,
                is_lone: false,
                has_seeds: true,
                past: Some(Past { cluster: Some(9) }),
                answers,
            })
        };
        assert_eq!(again(&[answer(9, &[(2, true)])]), Action::Claim { cluster: 9 });
        let refused = Action::Refuse { found: 8, own: 9 };
        assert_eq!(again(&[answer(8, &[(2, true)])]), refused);
        // It must not found a second cluster in the place of the first.
        assert!(matches!(again(&[]), Action::Wait(_)));
    }

    #[test]
    fn what_is_no_more_is_put_aside_and_one_that_left_stays_away_without_seeds() {
        let removed = DirectoryState::Removed;
        assert_eq!(decided(removed, false, &[]), Action::Archive);
        let left = DirectoryState::Left;
        assert_eq!(decided(left, false, &[]), Action::Archive);
        let alone = Situation {
            state: left,
            may_found: true,
            founder: FOUNDER,
            is_lone: true,
            has_seeds: false,
            past: None,
            answers: &[],
        };
        assert_eq!(decide(&alone), Action::StayAway);
    }
}
