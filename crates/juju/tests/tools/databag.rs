//! What `relation_set` writes, `relation_get` reads.

use std::collections::BTreeMap;
use std::fs;

use crate::fake::Fake;
use juju::{Bag, Changes, RelationId, Scope, UnitName};
use proptest::prelude::*;

/// Each case runs two processes.
const CASES: u32 = 64;

/// Juju's side of a unit's bag: what arrives is read as YAML, as Juju does, and empty values delete.
struct Databag {
    fake: Fake,
    held: BTreeMap<String, String>,
}

impl Databag {
    fn new() -> Self {
        let fake = Fake::new().answering("relation-set", "").answering("relation-get", "{}");
        Self { fake, held: BTreeMap::new() }
    }

    fn set(&mut self, changes: &Changes) {
        fs::write(self.fake.file("relation-set", "stdin"), "{}").unwrap();
        self.fake.tools().relation_set(&relation(), Scope::Unit, changes).unwrap();
        let yaml = self.fake.stdin("relation-set");
        let settings: BTreeMap<String, String> = serde_yaml::from_str(&yaml).expect(&yaml);
        self.held.extend(settings);
        self.held.retain(|_, value| !value.is_empty());
    }

    fn get(&self) -> BTreeMap<String, String> {
        let json = serde_json::to_string(&self.held).unwrap();
        fs::write(self.fake.file("relation-get", "stdout"), json).unwrap();
        let unit: UnitName = "etcd/0".parse().unwrap();
        self.fake.tools().relation_get(&relation(), &Bag::Unit(unit)).unwrap()
    }
}

fn relation() -> RelationId {
    "cluster:0".parse().unwrap()
}

/// Characters that some reader of YAML or JSON treats as special, and any others.
fn value() -> impl Strategy<Value = String> {
    let special = proptest::sample::select(
        "\0\t\n\r\u{7f}\u{85}\u{a0}\u{2028}\u{2029}\u{feff}\u{fffe}\u{ffff}\u{1fffe}\"'\\:-#{}[],&*!|>%@` =~"
            .chars()
            .collect::<Vec<_>>(),
    );
    let character = prop_oneof![special, any::<char>()];
    proptest::collection::vec(character, 0..24).prop_map(|value| value.into_iter().collect())
}

fn changes() -> impl Strategy<Value = Changes> {
    let key =
        prop_oneof![Just("a".to_owned()), Just("null".to_owned()), "[a-z~#-][a-z0-9._: -]{0,12}"];
    proptest::collection::btree_map(key, proptest::option::weighted(0.8, value()), 0..6)
}

/// What a bag is after the changes, said as plainly as possible.
fn changed(mut bag: BTreeMap<String, String>, changes: &Changes) -> BTreeMap<String, String> {
    for (key, value) in changes {
        match value {
            Some(value) if !value.is_empty() => bag.insert(key.clone(), value.clone()),
            _ => bag.remove(key),
        };
    }
    bag
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_set_is_what_is_read(first in changes(), second in changes()) {
        let mut databag = Databag::new();
        databag.set(&first);
        let expected = changed(BTreeMap::new(), &first);
        prop_assert_eq!(databag.get(), expected.clone());
        databag.set(&second);
        prop_assert_eq!(databag.get(), changed(expected, &second));
    }
}

#[test]
fn text_that_yaml_would_fold_or_retype_stays_as_it_is() {
    let values =
        ["yes", "0x10", "1e3", "null", "~", "a: b", "- x", "line\n\n  two", "\u{85}\u{2028}x"];
    let changes: Changes = values
        .iter()
        .enumerate()
        .map(|(at, value)| (format!("key-{at}"), Some((*value).to_owned())))
        .collect();
    let mut databag = Databag::new();
    databag.set(&changes);
    assert_eq!(databag.get().into_values().collect::<Vec<_>>(), values);
}
