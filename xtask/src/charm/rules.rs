//! The descriptors obey Juju's rules, and the pages for people say what the descriptors say.
//!
//! Juju accepts or refuses a charm as a whole, at upload; these tests name the key instead.
//! Sources: juju/charm v12 (`meta.go`, `actions.go`, `config.go`, `manifest.go`) and charmcraft's
//! schema.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_yaml::{Mapping, Value};

use super::build::program_names;
use super::descriptors::{self, Metadata, check_programs};
use crate::step::root;

/// Keys of an action that Juju keeps for itself; any other goes into the schema.
const ACTION_KEYS: [&str; 7] = [
    "additionalProperties",
    "description",
    "execution-group",
    "parallel",
    "params",
    "required",
    "title",
];

const OPTION_TYPES: [&str; 5] = ["boolean", "float", "int", "secret", "string"];

/// Longest name charmcraft registers.
const CHARM_NAME_CHARACTERS_MAX: usize = 40;

fn descriptor(name: &str) -> Mapping {
    descriptors::read(&root(), name).unwrap()
}

fn section(parent: &Mapping, key: &str) -> Mapping {
    parent.get(key).and_then(Value::as_mapping).cloned().unwrap_or_default()
}

fn keys(mapping: &Mapping) -> Vec<String> {
    mapping.keys().map(|key| key.as_str().unwrap().to_owned()).collect()
}

fn text<'a>(mapping: &'a Mapping, key: &str) -> &'a str {
    mapping.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn options() -> BTreeMap<String, Mapping> {
    let options = section(&descriptor("config.yaml"), "options");
    keys(&options).into_iter().map(|name| (name.clone(), section(&options, &name))).collect()
}

fn actions() -> BTreeMap<String, Mapping> {
    let actions = descriptor("actions.yaml");
    keys(&actions).into_iter().map(|name| (name.clone(), section(&actions, &name))).collect()
}

/// Lower-case words joined by single hyphens, each with a letter: valid for every kind of name.
fn is_hyphenated(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(|word| {
            word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
                && word.chars().any(|c| c.is_ascii_lowercase())
        })
}

fn is_reserved(name: &str) -> bool {
    name == "juju" || name.starts_with("juju-")
}

fn assert_name(kind: &str, name: &str) {
    assert!(is_hyphenated(name), "{kind} {name}: lower-case words with hyphens");
    assert!(!is_reserved(name), "{kind} {name}: names with juju are Juju's");
}

#[test]
fn the_charm_has_a_valid_name_and_says_what_it_is() {
    let metadata = descriptor("metadata.yaml");
    let name = text(&metadata, "name");
    assert_name("charm", name);
    assert!(name.len() <= CHARM_NAME_CHARACTERS_MAX, "{name}");
    for key in ["summary", "description"] {
        assert!(!text(&metadata, key).trim().is_empty(), "{key}");
    }
    assert!(!text(&metadata, "summary").contains('\n'), "a summary has one line");
}

#[test]
fn the_charm_is_of_format_two() {
    let metadata = descriptor("metadata.yaml");
    for key in ["series", "min-juju-version", "deployment", "revision", "format"] {
        assert!(!metadata.contains_key(key), "metadata.yaml: {key} makes it a charm of format 1");
    }
    let manifest = descriptor("manifest.yaml");
    let bases = manifest["bases"].as_sequence().unwrap();
    let found: BTreeSet<_> = bases
        .iter()
        .flat_map(|base| {
            assert_eq!(base["name"], "ubuntu");
            let channel = base["channel"].as_str().expect("a channel is text, in quotes");
            let architectures = base["architectures"].as_sequence().unwrap();
            architectures.iter().map(move |name| (channel, name.as_str().unwrap()))
        })
        .collect();
    let expected = [("22.04", "amd64"), ("22.04", "arm64"), ("24.04", "amd64"), ("24.04", "arm64")];
    assert_eq!(found, expected.into());
}

#[test]
fn every_supported_juju_fulfils_what_the_charm_assumes() {
    let metadata = descriptor("metadata.yaml");
    for assumed in metadata["assumes"].as_sequence().unwrap() {
        let words: Vec<_> = assumed.as_str().unwrap().split_whitespace().collect();
        let ["juju", ">=", version] = words[..] else { panic!("{assumed:?}") };
        let numbers: Vec<u32> = version.split('.').map(|n| n.parse().unwrap()).collect();
        for supported in [[2, 9, 23], [3, 6, 0], [4, 0, 0]] {
            assert!(numbers <= supported.to_vec(), "Juju {supported:?} is refused by {assumed:?}");
        }
    }
}

#[test]
fn endpoints_have_valid_names_and_each_is_declared_once() {
    let metadata = descriptor("metadata.yaml");
    let mut seen = BTreeSet::new();
    for kind in ["provides", "requires", "peers"] {
        let endpoints = section(&metadata, kind);
        for name in keys(&endpoints) {
            assert_name("endpoint", &name);
            assert!(seen.insert(name.clone()), "endpoint {name} is declared twice");
            let interface = section(&endpoints, &name);
            assert_name("interface", text(&interface, "interface"));
            let known = ["interface", "limit", "optional", "scope"];
            for key in keys(&interface) {
                assert!(known.contains(&&*key), "endpoint {name}: unknown key {key}");
            }
        }
    }
    let bindings = keys(&section(&metadata, "extra-bindings"));
    assert!(bindings.iter().all(|name| !seen.contains(name)), "{bindings:?}");
    let found: Vec<_> = seen.iter().map(String::as_str).collect();
    assert_eq!(found, ["client", "cluster", "db", "proxy"]);
}

#[test]
fn storage_and_resources_are_optional() {
    let metadata = descriptor("metadata.yaml");
    let data = section(&section(&metadata, "storage"), "data");
    assert_eq!(text(&data, "type"), "filesystem");
    assert_eq!(text(&section(&data, "multiple"), "range"), "0-1", "it must be deployable without");
    let release = section(&section(&metadata, "resources"), "release");
    assert_eq!(text(&release, "type"), "file");
    assert!(!text(&release, "filename").is_empty());
}

#[test]
fn options_have_a_type_a_default_of_it_and_a_description() {
    for (name, option) in options() {
        assert_name("option", &name);
        let kind = text(&option, "type");
        assert!(OPTION_TYPES.contains(&kind), "option {name}: type {kind}");
        let default = option.get("default").unwrap_or_else(|| panic!("option {name}: no default"));
        let fits = match kind {
            "boolean" => default.is_bool(),
            "int" => default.is_i64(),
            "string" => default.is_string(),
            _ => false,
        };
        assert!(fits, "option {name}: {default:?} is not of type {kind}");
        assert!(text(&option, "description").len() > 20, "option {name}: description");
    }
}

#[test]
fn actions_say_what_they_take_and_take_nothing_else() {
    for (name, action) in actions() {
        assert_name("action", &name);
        assert!(text(&action, "description").len() > 20, "action {name}: description");
        // Juju up to 3 and Juju 4 differ in what they assume when it is not written.
        let additional = action.get("additionalProperties");
        assert_eq!(additional, Some(&Value::Bool(false)), "action {name}");
        for key in keys(&action) {
            assert!(ACTION_KEYS.contains(&&*key), "action {name}: unknown key {key}");
        }
        let params = section(&action, "params");
        for param in keys(&params) {
            assert_name("parameter", &param);
            let schema = section(&params, &param);
            let kinds = ["boolean", "integer", "number", "string"];
            assert!(kinds.contains(&text(&schema, "type")), "action {name}: type of {param}");
            assert!(text(&schema, "description").len() > 20, "action {name}: about {param}");
            assert!(!schema.contains_key("$ref") && !schema.contains_key("$schema"));
        }
    }
}

#[test]
fn every_program_has_its_hook_or_action_and_every_action_its_program() {
    let (Ok(hooks), Ok(actions)) = (program_names("hooks"), program_names("actions")) else {
        eprintln!("skipped: hooks/src/bin or actions/src/bin does not exist");
        return;
    };
    check_programs(&root(), &hooks, &actions).unwrap();
}

#[test]
fn a_program_without_a_hook_or_action_is_named() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let hooks = names(&["config-changed", "install", "start"]);
    let declared: Vec<_> = actions().into_keys().collect();
    check_programs(&root(), &hooks, &declared).unwrap();
    let refused = |hooks: &[String], actions: &[String]| {
        check_programs(&root(), hooks, actions).unwrap_err().to_string()
    };
    for name in ["cluster-relation-broken", "data-storage-changed", "collect-metrics", "Install"] {
        let error = refused(&names(&[name]), &declared);
        assert!(error.contains(name), "{error}");
    }
    assert!(refused(&names(&["install", "start"]), &declared).contains("config-changed"));
    assert!(refused(&hooks, &declared[1..]).contains(&declared[0]));
    assert!(refused(&hooks, &[declared, names(&["snapshot"])].concat()).contains("snapshot"));
}

#[test]
fn hooks_of_peers_end_with_departed() {
    let metadata: Metadata = descriptors::read(&root(), "metadata.yaml").unwrap();
    let hooks = metadata.hooks();
    assert!(hooks.contains("cluster-relation-departed"));
    assert!(!hooks.contains("cluster-relation-broken"));
    assert!(hooks.contains("proxy-relation-broken"));
    assert!(hooks.contains("data-storage-detaching"));
}

#[test]
fn a_packed_manifest_names_one_architecture() {
    for architecture in ["amd64", "arm64"] {
        let manifest = descriptors::manifest_for(&root(), architecture).unwrap();
        let manifest: Mapping = serde_yaml::from_str(&manifest).unwrap();
        let bases = manifest["bases"].as_sequence().unwrap();
        assert_eq!(bases.len(), 2);
        for base in bases {
            assert_eq!(base["architectures"], Value::Sequence(vec![architecture.into()]));
            assert!(base["channel"].is_string());
        }
    }
    assert!(descriptors::manifest_for(&root(), "s390x").is_err());
}

/// Rows of the first table below a heading of docs/charm.md, cells without their back-quotes.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let page = fs::read_to_string(root().join("docs/charm.md")).unwrap();
    let below = page.split_once(&format!("\n## {heading}\n")).expect(heading).1;
    let rows = below.lines().skip_while(|line| !line.starts_with("| `"));
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells = row.trim_matches('|').split('|');
            let cells: Vec<_> = cells.map(|cell| cell.trim().replace('`', "")).collect();
            (cells[0].clone(), cells[1..].to_vec())
        })
        .collect()
}

#[test]
fn the_page_lists_the_options_with_type_and_default() {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other).unwrap().trim().to_owned(),
    };
    let declared: BTreeMap<_, _> = options()
        .into_iter()
        .map(|(name, option)| {
            (name, vec![text(&option, "type").to_owned(), plain(&option["default"])])
        })
        .collect();
    let documented: BTreeMap<_, _> =
        table("Options").into_iter().map(|(name, cells)| (name, cells[..2].to_vec())).collect();
    assert_eq!(documented, declared);
}

#[test]
fn the_page_lists_the_actions_with_their_parameters() {
    let declared: BTreeMap<_, _> = actions()
        .into_iter()
        .map(|(name, action)| (name, keys(&section(&action, "params")).join(", ")))
        .collect();
    let documented: BTreeMap<_, _> =
        table("Actions").into_iter().map(|(name, cells)| (name, cells[0].clone())).collect();
    assert_eq!(documented, declared);
}

#[test]
fn the_page_lists_the_relations_with_their_interfaces() {
    let metadata = descriptor("metadata.yaml");
    let mut declared = BTreeMap::new();
    for kind in ["provides", "peers"] {
        let endpoints = section(&metadata, kind);
        for name in keys(&endpoints) {
            let interface = text(&section(&endpoints, &name), "interface").to_owned();
            declared.insert(name, interface);
        }
    }
    let documented: BTreeMap<_, _> =
        table("Relations").into_iter().map(|(name, cells)| (name, cells[0].clone())).collect();
    assert_eq!(documented, declared);
}
