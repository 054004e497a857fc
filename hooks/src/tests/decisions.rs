//! The scenarios of a cluster's life, as decisions of single units.

use juju::{Hook, RelationEvent, StorageEvent};

use super::fixture::{CLUSTER, agent, config, member, set_app, set_bag, unit};
use crate::agent::State;
use crate::decide::{Course, Run, Step, can_roll_back, decide, formed, step};
use crate::facts::{Facts, Service};
use crate::notes::{Generation, Leaving};
use crate::options::Options;

fn run(facts: &Facts) -> Run {
    match decide(facts).course {
        Course::Run(run) => *run,
        other => panic!("it does not run: {other:?}"),
    }
}

fn state(facts: &Facts) -> String {
    run(facts).settings.bootstrap["ETCD_INITIAL_CLUSTER_STATE"].clone()
}

fn generation(release: &str) -> Generation {
    let member_env = "ETCD_INITIAL_ADVERTISE_PEER_URLS=\"http://10.0.0.1:2380\"\n".to_owned();
    Generation { release: release.to_owned(), member_env, unit_file: String::new() }
}

#[test]
fn the_juju_leader_names_the_founder_and_starts_nothing_in_that_hook() {
    let plan = decide(&unit(0, &[]));
    let genesis = plan.genesis.expect("it founds");
    assert_eq!((genesis.token.as_str(), genesis.founder.to_string()), ("FRESH", "etcd/0".into()));
    assert!(matches!(plan.course, Course::Wait(_)), "{:?}", plan.course);
}

#[test]
fn a_unit_that_is_not_juju_leader_names_nobody() {
    let plan = decide(&unit(1, &[0]));
    assert_eq!(plan.genesis, None);
    assert!(matches!(plan.course, Course::Wait(_)));
}

#[test]
fn nobody_founds_before_the_peer_relation_exists() {
    let mut facts = unit(0, &[]);
    facts.peer = None;
    let plan = decide(&facts);
    assert_eq!(plan.genesis, None);
    assert!(matches!(plan.course, Course::Wait(_)));
}

#[test]
fn the_founder_founds_in_a_later_hook_and_everybody_else_joins() {
    for (number, others, expected) in [(0, [1, 2], "new"), (1, [0, 2], "existing")] {
        let mut facts = unit(number, &others);
        set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
        assert_eq!(state(&facts), expected);
        assert_eq!(decide(&facts).genesis, None);
    }
}

#[test]
fn once_formed_nobody_founds_again_not_even_the_founder() {
    let mut facts = unit(0, &[1]);
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0"), ("cluster-id", CLUSTER)]);
    assert_eq!(state(&facts), "existing");
    assert_eq!(decide(&facts).genesis, None);
}

#[test]
fn a_new_juju_leader_keeps_the_founder_that_was_named() {
    let mut facts = unit(2, &[0, 1]);
    facts.is_juju_leader = true;
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
    assert_eq!(decide(&facts).genesis, None);
    assert_eq!(state(&facts), "existing");
}

#[test]
fn a_founder_that_went_before_it_founded_is_replaced_under_another_token() {
    let mut facts = unit(2, &[1]);
    facts.is_juju_leader = true;
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
    let genesis = decide(&facts).genesis.expect("another founder");
    assert_eq!((genesis.token.as_str(), genesis.founder.to_string()), ("FRESH", "etcd/2".into()));
}

#[test]
fn a_founder_is_not_replaced_while_juju_does_not_tell_or_somebody_has_a_cluster() {
    let mut facts = unit(2, &[1]);
    facts.is_juju_leader = true;
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
    let mut silent = facts.clone();
    silent.goal = None;
    assert_eq!(decide(&silent).genesis, None);
    set_bag(&mut facts, "etcd/1", &[("cluster-id", CLUSTER), ("state", "member")]);
    assert_eq!(decide(&facts).genesis, None);
    let peer = facts.peer.clone().unwrap();
    assert_eq!(formed(&facts, &peer, None).as_deref(), Some(CLUSTER));
}

#[test]
fn only_the_founder_says_that_the_cluster_is_formed_while_it_is_there() {
    let mut facts = unit(1, &[0, 2]);
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
    set_bag(&mut facts, "etcd/2", &[("cluster-id", "ff"), ("state", "member")]);
    let peer = |facts: &Facts| facts.peer.clone().unwrap();
    assert_eq!(formed(&facts, &peer(&facts), None), None);
    set_bag(&mut facts, "etcd/0", &[("cluster-id", CLUSTER), ("state", "starting")]);
    assert_eq!(formed(&facts, &peer(&facts), None), None);
    set_bag(&mut facts, "etcd/0", &[("cluster-id", CLUSTER), ("state", "member")]);
    assert_eq!(formed(&facts, &peer(&facts), None).as_deref(), Some(CLUSTER));
}

#[test]
fn a_joiner_asks_the_others_and_remembers_them() {
    let mut facts = member(1, &[0, 2]);
    set_bag(&mut facts, "etcd/0", &[("peer-url", "http://10.0.0.0:2380")]);
    let seeds = run(&facts).settings.seeds;
    assert_eq!(seeds.into_iter().collect::<Vec<_>>(), ["http://10.0.0.0:2380"]);
    facts.notes.seeds = ["http://10.9.9.9:2380".to_owned()].into();
    set_bag(&mut facts, "etcd/0", &[]);
    let seeds = run(&facts).settings.seeds;
    assert_eq!(seeds.into_iter().collect::<Vec<_>>(), ["http://10.9.9.9:2380"]);
}

#[test]
fn a_joiner_knows_members_by_the_published_string_and_by_the_last_word_of_those_that_went() {
    let mut facts = unit(1, &[2]);
    let cluster = "etcd-0=http://10.0.0.0:2380,etcd-1=http://10.0.0.1:2380";
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0"), ("cluster", cluster)]);
    let peer = facts.peer.as_mut().unwrap();
    peer.departed.insert("peer-url".to_owned(), "http://10.0.0.3:2380".to_owned());
    facts.notes.seeds = ["http://10.9.9.9:2380".to_owned()].into();
    let seeds: Vec<_> = run(&facts).settings.seeds.into_iter().collect();
    assert_eq!(seeds, ["http://10.0.0.0:2380", "http://10.0.0.3:2380", "http://10.9.9.9:2380"]);
    facts.agent = Some(agent(1, &[0]));
    assert!(!run(&facts).settings.seeds.contains("http://10.9.9.9:2380"), "it has its place");
}

/// The founder was removed at once after it had founded, before the Juju leader heard of it: with
/// its last word unread, another founder was named, and there were two clusters.
#[test]
fn the_last_word_of_a_founder_that_went_keeps_others_from_founding_again() {
    let mut facts = unit(2, &[1]);
    facts.is_juju_leader = true;
    facts.hook = Hook::relation("cluster", RelationEvent::Departed);
    facts.departing = Some("etcd/0".parse().unwrap());
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0")]);
    let peer = facts.peer.as_mut().unwrap();
    for (key, text) in [("state", "member"), ("cluster-id", CLUSTER)] {
        peer.departed.insert(key.to_owned(), text.to_owned());
    }
    let peer = peer.clone();
    assert_eq!(decide(&facts).genesis, None);
    assert_eq!(formed(&facts, &peer, None).as_deref(), Some(CLUSTER));
}

#[test]
fn a_unit_leaves_when_it_goes_and_not_when_another_one_does() {
    let departed = |number: u32, gone: &str| {
        let mut facts = member(number, &[0, 2]);
        facts.hook = Hook::relation("cluster", RelationEvent::Departed);
        facts.departing = Some(gone.parse().unwrap());
        decide(&facts).course
    };
    assert_eq!(departed(1, "etcd/1"), Course::Leave(Leaving::Removed));
    assert!(matches!(departed(1, "etcd/10"), Course::Run(_)));
    let mut stop = member(1, &[0]);
    stop.hook = Hook::Stop;
    assert_eq!(decide(&stop).course, Course::Leave(Leaving::Removed));
}

#[test]
fn a_unit_that_is_being_removed_never_starts_again() {
    for hook in [Hook::UpdateStatus, Hook::ConfigChanged, Hook::Start, Hook::Stop] {
        let mut facts = member(1, &[0]);
        facts.agent = None;
        facts.is_juju_leader = true;
        facts.notes.leaving = Some(Leaving::Removed);
        facts.hook = hook;
        let plan = decide(&facts);
        assert_eq!(plan.course, Course::StayAway(Leaving::Removed));
        assert_eq!((plan.genesis, plan.ghosts.remove), (None, None));
    }
}

#[test]
fn storage_that_goes_takes_the_member_along_and_brings_it_back() {
    let mut facts = member(1, &[0]);
    facts.storage = Some("/data/1".into());
    facts.notes.data_dir = Some("/data/1/quorate".into());
    facts.hook = Hook::storage("data", StorageEvent::Detaching);
    assert_eq!(decide(&facts).course, Course::Leave(Leaving::Storage));
    facts.notes.leaving = Some(Leaving::Storage);
    facts.storage = None;
    facts.hook = Hook::UpdateStatus;
    assert_eq!(decide(&facts).course, Course::StayAway(Leaving::Storage));
    facts.hook = Hook::Stop;
    assert_eq!(decide(&facts).course, Course::StayAway(Leaving::Removed));
    facts.storage = Some("/data/7".into());
    facts.hook = Hook::storage("data", StorageEvent::Attached);
    assert_eq!(run(&facts).settings.data_dir.to_str(), Some("/data/7/quorate"));
}

#[test]
fn a_directory_that_was_left_is_put_aside_when_the_unit_stays() {
    let mut facts = member(3, &[0]);
    assert!(!run(&facts).is_to_rejoin);
    facts.agent.as_mut().unwrap().state = State::Left;
    assert!(run(&facts).is_to_rejoin);
}

#[test]
fn data_stay_where_they_are_when_storage_comes_later() {
    let mut facts = member(0, &[]);
    facts.notes.data_dir = Some(facts.paths.data());
    facts.storage = Some("/data/0".into());
    facts.has_local_data = true;
    assert_eq!(run(&facts).settings.data_dir, facts.paths.data());
    facts.has_local_data = false;
    assert_eq!(run(&facts).settings.data_dir.to_str(), Some("/data/0/quorate"));
}

#[test]
fn data_on_storage_that_is_not_there_are_not_replaced_by_an_empty_directory() {
    let mut facts = member(0, &[]);
    facts.notes.data_dir = Some("/data/0/quorate".into());
    let Course::Blocked(line) = decide(&facts).course else { panic!("it goes on") };
    assert!(line.contains("juju attach-storage etcd/0"), "{line}");
}

#[test]
fn a_bad_option_leaves_the_last_good_ones_in_force() {
    let mut facts = member(0, &[]);
    facts.options = Options::read(&config(r#"{"port":0}"#));
    assert!(matches!(decide(&facts).course, Course::Blocked(_)));
    facts.notes.options = Options::read(&config(r#"{"port":4001}"#)).ok();
    let run = run(&facts);
    assert_eq!(run.settings.client_url, "http://10.0.0.0:4001");
    assert!(run.problem.unwrap().contains("option port"));
}

#[test]
fn a_member_whose_unit_is_gone_is_removed_by_the_juju_leader() {
    let mut facts = member(0, &[1, 10]);
    let gone = |facts: &mut Facts, name: &str| {
        let unit = name.parse().unwrap();
        facts.peer.as_mut().unwrap().units.remove(&unit);
        facts.goal.as_mut().unwrap().remove(&unit);
    };
    assert_eq!(decide(&facts).ghosts.remove, None);
    gone(&mut facts, "etcd/1");
    facts.agent.as_mut().unwrap().members[1].is_alive = Some(false);
    assert_eq!(decide(&facts).ghosts.remove.as_deref(), Some("etcd-1"), "and not etcd-10");
    facts.is_juju_leader = false;
    assert_eq!(decide(&facts).ghosts.remove, None);
}

#[test]
fn a_ghost_that_may_be_alive_has_time_to_leave_by_itself() {
    let mut facts = member(0, &[1]);
    facts.departing = Some("etcd/1".parse().unwrap());
    facts.hook = Hook::relation("cluster", RelationEvent::Departed);
    for is_alive in [Some(true), None] {
        facts.agent.as_mut().unwrap().members[1].is_alive = is_alive;
        let ghosts = decide(&facts).ghosts;
        assert_eq!((ghosts.remove, ghosts.since_s["etcd-1"]), (None, 1000));
        let mut later = facts.clone();
        later.notes.gone_since_s = ghosts.since_s;
        // The goal of a departed unit is gone by then, and the hook is another one.
        later.goal.as_mut().unwrap().insert("etcd/1".parse().unwrap(), true);
        later.now_s += 60;
        assert_eq!(decide(&later).ghosts.remove.as_deref(), Some("etcd-1"));
    }
}

#[test]
fn nobody_is_removed_when_it_is_not_known_who_is_missing() {
    let mut facts = member(0, &[]);
    facts.agent = Some(agent(0, &[1]));
    facts.agent.as_mut().unwrap().members[1].is_alive = Some(false);
    assert!(decide(&facts).ghosts.remove.is_some());
    let mut silent = facts.clone();
    silent.goal = None;
    let mut no_majority = facts.clone();
    no_majority.agent.as_mut().unwrap().is_ready = false;
    let mut coming = facts.clone();
    coming.goal.as_mut().unwrap().insert("etcd/1".parse().unwrap(), false);
    let mut foreign = facts.clone();
    foreign.agent.as_mut().unwrap().members[1].name = "other-1".to_owned();
    let mut itself = facts.clone();
    itself.agent.as_mut().unwrap().members[0].name = "etcd-7".to_owned();
    itself.agent.as_mut().unwrap().members.truncate(1);
    for facts in [silent, no_majority, coming, foreign, itself] {
        assert_eq!(decide(&facts).ghosts.remove, None);
    }
}

#[test]
fn a_restart_has_a_reason_and_takes_turns_among_members() {
    let mut facts = member(1, &[0]);
    facts.notes.running = Some(generation("a"));
    assert_eq!(step(&facts, &generation("a"), false), Step::Nothing);
    assert_eq!(step(&facts, &generation("a"), true), Step::Nothing, "it has its place");
    assert_eq!(step(&facts, &generation("b"), false), Step::RestartInTurn);
    facts.agent = Some(agent(1, &[]));
    assert_eq!(step(&facts, &generation("b"), false), Step::Restart);
    facts.agent.as_mut().unwrap().cluster_id = None;
    facts.agent.as_mut().unwrap().state = State::Joining;
    assert_eq!(step(&facts, &generation("a"), true), Step::Restart, "it founds now");
    facts.service = Service::Down;
    assert_eq!(step(&facts, &generation("a"), false), Step::Start);
}

#[test]
fn only_a_change_that_can_be_the_reason_is_taken_back() {
    let mut facts = member(1, &[0]);
    facts.notes.running = Some(generation("a"));
    assert!(!can_roll_back(&facts, &generation("b")), "never seen to work");
    facts.notes.is_proven = true;
    assert!(can_roll_back(&facts, &generation("b")));
    assert!(!can_roll_back(&facts, &generation("a")), "nothing changed");
    let mut moved = generation("a");
    moved.member_env = moved.member_env.replace("10.0.0.1", "10.0.0.9");
    assert!(!can_roll_back(&facts, &moved), "an address cannot be taken back");
    facts.agent.as_mut().unwrap().is_ready = false;
    assert!(!can_roll_back(&facts, &generation("b")), "there was no majority before");
    facts.agent = None;
    assert!(can_roll_back(&facts, &generation("b")), "a hook that was killed in between");
}

#[test]
fn a_new_address_changes_what_the_member_announces() {
    let mut facts = member(0, &[1]);
    let before = run(&facts).settings.member_env();
    facts.addresses.peer = Some("10.7.7.7".to_owned());
    let settings = run(&facts).settings;
    assert_ne!(settings.member_env(), before);
    assert_eq!(settings.peer_url, "http://10.7.7.7:2380");
    assert_eq!(settings.bootstrap_env(), run(&member(0, &[1])).settings.bootstrap_env());
}
