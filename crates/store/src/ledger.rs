//! How many bytes the store holds, counted so that every member counts the same.

use std::collections::VecDeque;

/// The sum of the record lengths of all rows that compaction has left, whether or not a member has
/// got round to removing the others: physical progress differs from member to member, the quota
/// must not.
///
/// A row becomes unreachable when compaction reaches the revision that replaced it and has passed
/// its own; for a deletion the second is enough. Both are known when they happen, so compaction
/// only has to add up.
#[derive(Default)]
pub(crate) struct Ledger {
    in_use: u64,
    /// Main revision and the bytes that compaction at that revision gives back, ascending.
    doomed: VecDeque<(i64, u64)>,
}

impl Ledger {
    pub fn in_use(&self) -> u64 {
        self.in_use
    }

    /// A row was written.
    pub fn written(&mut self, bytes: u64) {
        self.in_use += bytes;
    }

    /// A row written earlier goes when compaction reaches `main`. Calls come nearly in order: at
    /// most two revisions back from the greatest.
    pub fn doom(&mut self, main: i64, bytes: u64) {
        let later = self.doomed.iter().rev().take_while(|(other, _)| *other > main).count();
        let position = self.doomed.len() - later;
        match position.checked_sub(1).map(|before| &mut self.doomed[before]) {
            Some((other, sum)) if *other == main => *sum += bytes,
            _ => self.doomed.insert(position, (main, bytes)),
        }
    }

    /// History up to `main` was given up.
    pub fn compacted(&mut self, main: i64) {
        while let Some((at, bytes)) = self.doomed.front().copied() {
            if at > main {
                break;
            }
            self.in_use -= bytes;
            self.doomed.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_replaced_is_given_back_when_compaction_reaches_the_replacement() {
        let mut ledger = Ledger::default();
        ledger.written(10);
        ledger.written(7);
        ledger.doom(3, 10);
        ledger.doom(4, 7);
        ledger.doom(3, 1);
        ledger.written(1);
        ledger.compacted(2);
        assert_eq!(ledger.in_use(), 18);
        ledger.compacted(3);
        assert_eq!(ledger.in_use(), 7);
        ledger.compacted(9);
        assert_eq!(ledger.in_use(), 0);
    }
}
