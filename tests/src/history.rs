//! Judges what concurrent clients saw: is there one order of operations that explains it all?
//!
//! In general that question is hard; here it is not, because every acknowledged write carries its
//! revision, so the order of writes is known. What remains is linear after sorting
//! (rust-design 5.3): revision order must respect real time, every read must equal the state at
//! its revision, and that revision must lie between the newest one acknowledged before the read
//! began and the newest one known when it ended. A write with an unknown outcome took one of the
//! revisions nobody claims, or none.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::Instant;

/// What one client did and saw.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Who did it, for the report.
    pub client: usize,
    /// When the request left.
    pub began: Instant,
    /// When the answer was there, or when waiting ended.
    pub ended: Instant,
    /// What it was and what came of it.
    pub outcome: Outcome,
}

/// An operation on a single key with its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An acknowledged put.
    Written {
        /// The key.
        key: String,
        /// The value, unique over the whole history.
        value: String,
        /// The revision in the reply.
        revision: i64,
    },
    /// A put without an answer: it may have happened, once, at any time after it began.
    Unknown {
        /// The key.
        key: String,
        /// The value, unique over the whole history.
        value: String,
    },
    /// A linearizable read.
    Read {
        /// The key.
        key: String,
        /// The value and its mod revision, if the key was there.
        found: Option<(String, i64)>,
        /// The store's revision in the reply's header.
        revision: i64,
    },
}

/// Why a history cannot have happened in an etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All operations of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    operations: Vec<Operation>,
}

impl History {
    /// Adds what one client recorded.
    pub fn extend(&mut self, operations: impl IntoIterator<Item = Operation>) {
        self.operations.extend(operations);
    }

    /// How many writes were acknowledged.
    pub fn acknowledged(&self) -> usize {
        self.operations.iter().filter(|o| matches!(o.outcome, Outcome::Written { .. })).count()
    }

    /// Revision, key and value of every acknowledged write.
    pub fn acknowledged_writes(&self) -> impl Iterator<Item = (i64, String, String)> {
        self.operations.iter().filter_map(|operation| match &operation.outcome {
            Outcome::Written { key, value, revision } => {
                Some((*revision, key.clone(), value.clone()))
            }
            _ => None,
        })
    }

    /// The last acknowledged value of each key with its revision.
    pub fn last_acknowledged(&self) -> BTreeMap<String, (String, i64)> {
        let mut last: BTreeMap<String, (String, i64)> = BTreeMap::new();
        for operation in &self.operations {
            if let Outcome::Written { key, value, revision } = &operation.outcome {
                let newer = last.get(key).is_none_or(|(_, known)| known < revision);
                if newer {
                    last.insert(key.clone(), (value.clone(), *revision));
                }
            }
        }
        last
    }

    /// Whether `value` was written to `key` without an answer.
    pub fn may_have_written(&self, key: &str, value: &str) -> bool {
        self.operations.iter().any(|operation| match &operation.outcome {
            Outcome::Unknown { key: k, value: v } => k == key && v == value,
            _ => false,
        })
    }

    /// Checks everything; the first thing that is wrong.
    pub fn check(&self) -> Result<(), Violation> {
        let writes = self.writes()?;
        self.revisions_respect_real_time()?;
        for operation in &self.operations {
            if let Outcome::Read { key, found, revision } = &operation.outcome {
                self.read_matches(&writes, operation, key, found.as_ref(), *revision)?;
            }
        }
        Ok(())
    }

    /// Acknowledged writes by revision, none claimed twice.
    fn writes(&self) -> Result<BTreeMap<i64, (&str, &str)>, Violation> {
        let mut writes = BTreeMap::new();
        for operation in &self.operations {
            if let Outcome::Written { key, value, revision } = &operation.outcome {
                let other = writes.insert(*revision, (key.as_str(), value.as_str()));
                if let Some((other_key, _)) = other {
                    return Err(Violation(format!(
                        "revision {revision} wrote both {other_key} and {key}"
                    )));
                }
            }
        }
        Ok(writes)
    }

    /// An operation that began after another one ended must not have a lower revision, and a
    /// write must have a higher one.
    fn revisions_respect_real_time(&self) -> Result<(), Violation> {
        let mut by_end: Vec<(&Operation, i64)> = self.with_revision().collect();
        by_end.sort_by_key(|(operation, _)| operation.ended);
        let mut by_begin = by_end.clone();
        by_begin.sort_by_key(|(operation, _)| operation.began);
        let mut ended = by_end.into_iter().peekable();
        let mut newest = 0;
        for (operation, revision) in by_begin {
            while let Some((_, known)) = ended.next_if(|(other, _)| other.ended < operation.began) {
                newest = newest.max(known);
            }
            let is_write = matches!(operation.outcome, Outcome::Written { .. });
            if revision < newest || (is_write && revision == newest) {
                return violation(format!(
                    "revision {newest} was known before client {} began, and it got {revision}: {:?}",
                    operation.client, operation.outcome
                ));
            }
        }
        Ok(())
    }

    fn with_revision(&self) -> impl Iterator<Item = (&Operation, i64)> {
        self.operations.iter().filter_map(|operation| match operation.outcome {
            Outcome::Written { revision, .. } | Outcome::Read { revision, .. } => {
                Some((operation, revision))
            }
            Outcome::Unknown { .. } => None,
        })
    }

    /// A read sees the newest write at or below its revision: an acknowledged one, or one of
    /// unknown outcome at a revision nobody else claims.
    fn read_matches(
        &self,
        writes: &BTreeMap<i64, (&str, &str)>,
        read: &Operation,
        key: &str,
        found: Option<&(String, i64)>,
        revision: i64,
    ) -> Result<(), Violation> {
        let latest = writes.range(..=revision).rev().find(|(_, (k, _))| *k == key);
        let latest_revision = latest.map_or(0, |(revision, _)| *revision);
        let client = read.client;
        let Some((value, mod_revision)) = found else {
            return match latest {
                None => Ok(()),
                Some((at, _)) => violation(format!(
                    "client {client} did not find {key} at {revision}, written at {at}"
                )),
            };
        };
        if *mod_revision > revision {
            return violation(format!("{key} of revision {mod_revision} in a reply of {revision}"));
        }
        if *mod_revision < latest_revision {
            return violation(format!(
                "client {client} read {key} of revision {mod_revision} at {revision}, but it was written at {latest_revision}"
            ));
        }
        match writes.get(mod_revision) {
            Some((k, v)) if *k == key && v == value => Ok(()),
            Some((k, _)) => violation(format!(
                "client {client} read {key}={value} of revision {mod_revision}, which wrote {k}"
            )),
            None => self.unknown_explains(read, key, value, *mod_revision),
        }
    }

    fn unknown_explains(
        &self,
        read: &Operation,
        key: &str,
        value: &str,
        mod_revision: i64,
    ) -> Result<(), Violation> {
        let explained = self.operations.iter().any(|other| match &other.outcome {
            Outcome::Unknown { key: k, value: v } => {
                k == key && v == value && other.began < read.ended
            }
            _ => false,
        });
        if explained {
            return Ok(());
        }
        violation(format!("{key}={value} of revision {mod_revision} was read, but nobody wrote it"))
    }

    /// Values that were read keep the one revision they were read at.
    pub fn values_keep_their_revision(&self) -> Result<(), Violation> {
        let mut revisions: HashMap<(&str, &str), i64> = HashMap::new();
        for operation in &self.operations {
            let seen = match &operation.outcome {
                Outcome::Read { key, found: Some((value, revision)), .. }
                | Outcome::Written { key, value, revision } => {
                    (key.as_str(), value.as_str(), *revision)
                }
                _ => continue,
            };
            let (key, value, revision) = seen;
            let known = *revisions.entry((key, value)).or_insert(revision);
            if known != revision {
                return violation(format!(
                    "{key}={value} is of revision {known} and of {revision}"
                ));
            }
        }
        Ok(())
    }
}

fn violation(text: String) -> Result<(), Violation> {
    Err(Violation(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn history(operations: &[(u64, u64, Outcome)]) -> History {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let operations = operations.iter().enumerate().map(|(client, (began, ended, outcome))| {
            Operation { client, began: at(*began), ended: at(*ended), outcome: outcome.clone() }
        });
        History { operations: operations.collect() }
    }

    fn written(value: &str, revision: i64) -> Outcome {
        Outcome::Written { key: "k".into(), value: value.into(), revision }
    }

    fn read(found: Option<(&str, i64)>, revision: i64) -> Outcome {
        let found = found.map(|(value, revision)| (value.to_owned(), revision));
        Outcome::Read { key: "k".into(), found, revision }
    }

    #[test]
    fn concurrent_writes_may_come_in_either_order() {
        let both =
            [(0, 10, written("a", 3)), (0, 10, written("b", 2)), (11, 12, read(Some(("a", 3)), 3))];
        assert_eq!(history(&both).check(), Ok(()));
    }

    #[test]
    fn a_write_that_goes_back_in_time_is_found() {
        let back = [(0, 1, written("a", 3)), (5, 6, written("b", 2))];
        history(&back).check().unwrap_err();
    }

    #[test]
    fn a_stale_read_is_found() {
        let stale =
            [(0, 1, written("a", 2)), (2, 3, written("b", 3)), (4, 5, read(Some(("a", 2)), 2))];
        history(&stale).check().unwrap_err();
        let torn =
            [(0, 1, written("a", 2)), (2, 3, written("b", 3)), (4, 5, read(Some(("a", 2)), 3))];
        history(&torn).check().unwrap_err();
    }

    #[test]
    fn a_lost_write_is_found() {
        let lost = [(0, 1, written("a", 2)), (2, 3, read(None, 2))];
        history(&lost).check().unwrap_err();
    }

    #[test]
    fn two_writes_of_one_revision_are_found() {
        let twice = [(0, 1, written("a", 2)), (0, 1, written("b", 2))];
        history(&twice).check().unwrap_err();
    }

    #[test]
    fn an_unanswered_write_may_have_happened_or_not() {
        let unknown = Outcome::Unknown { key: "k".into(), value: "u".into() };
        let happened = [(0, 1, unknown.clone()), (2, 3, read(Some(("u", 2)), 2))];
        let did_not = [(0, 1, unknown), (2, 3, read(None, 1))];
        assert_eq!(history(&happened).check(), Ok(()));
        assert_eq!(history(&did_not).check(), Ok(()));
    }

    #[test]
    fn a_value_nobody_wrote_is_found() {
        history(&[(0, 1, read(Some(("ghost", 2)), 2))]).check().unwrap_err();
    }
}
