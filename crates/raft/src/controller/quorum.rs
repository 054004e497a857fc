//! Whether a member may be taken out: a pure function of who votes and who is alive.

use super::admission::Life;

/// Why a removal would harm the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    /// Nobody would be left to vote.
    LastVoter,
    /// Those left alive would be no majority of those left.
    NoMajority {
        /// Alive afterwards.
        alive: usize,
        /// Voters afterwards.
        voters: usize,
    },
}

/// `voters` are all of them, `target` among them or a learner. Removing one that is silent never
/// harms while there is a majority now: the majority afterwards is not larger.
pub(crate) fn check_removal(voters: &[(u64, Life)], target: u64) -> Result<(), Harm> {
    let Some((_, life)) = voters.iter().find(|(id, _)| *id == target) else { return Ok(()) };
    let left: Vec<_> = voters.iter().filter(|(id, _)| *id != target).collect();
    let alive = left.iter().filter(|(_, life)| *life == Life::Alive).count();
    match left.len() {
        0 => Err(Harm::LastVoter),
        _ if *life == Life::Silent => Ok(()),
        voters if alive > voters / 2 => Ok(()),
        voters => Err(Harm::NoMajority { alive, voters }),
    }
}

/// Whether a member may go at this very moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clearance {
    /// Nothing speaks against it.
    Clear,
    /// The leader leads too briefly to tell.
    Unclear,
    /// It would harm.
    Harmful,
}

/// For a member that somebody wants out.
pub(crate) fn clear_removal(voters: &[(u64, Life)], target: u64) -> Clearance {
    if voters.iter().any(|(_, life)| *life == Life::Unknown) {
        return Clearance::Unclear;
    }
    check_removal(voters, target).map_or(Clearance::Harmful, |()| Clearance::Clear)
}

/// For a member whose place another takes, because it was silent: it may be back by now.
pub(crate) fn clear_replacement(old: Life) -> Clearance {
    match old {
        Life::Silent => Clearance::Clear,
        Life::Unknown => Clearance::Unclear,
        Life::Alive => Clearance::Harmful,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voters(lives: &str) -> Vec<(u64, Life)> {
        let life = |letter| match letter {
            'a' => Life::Alive,
            's' => Life::Silent,
            _ => Life::Unknown,
        };
        (1..).zip(lives.chars().map(life)).collect()
    }

    #[test]
    fn a_living_voter_goes_only_when_the_living_stay_a_majority() {
        for (lives, allowed) in [
            ("aa", true),
            ("aaa", true),
            ("aas", false),
            ("aa?", false),
            ("aaas", true),
            ("aaass", false),
            ("aaaas", true),
        ] {
            assert_eq!(check_removal(&voters(lives), 1).is_ok(), allowed, "{lives}");
        }
    }

    #[test]
    fn a_silent_voter_or_a_learner_may_always_go_and_the_last_voter_never() {
        assert_eq!(check_removal(&voters("saa"), 1), Ok(()));
        assert_eq!(check_removal(&voters("sa"), 1), Ok(()));
        assert_eq!(check_removal(&voters("aas"), 9), Ok(()), "a learner");
        assert_eq!(check_removal(&voters("a"), 1), Err(Harm::LastVoter));
        let harm = Err(Harm::NoMajority { alive: 1, voters: 2 });
        assert_eq!(check_removal(&voters("aas"), 1), harm);
    }
}
