//! What `juju status` says.

use juju::Status;

use super::fixture::{CLUSTER, agent, member, set_app, set_bag, unit};
use crate::agent::{Alarm, State};
use crate::decide::decide;
use crate::facts::{Facts, Service};
use crate::notes::Leaving;
use crate::report::{Outcome, Shown, application_status, unit_status};

fn shown(facts: &Facts) -> Shown {
    let outcome = Outcome { agent: facts.agent.clone(), ..Outcome::default() };
    unit_status(facts, &decide(facts).course, &outcome)
}

#[test]
fn an_active_unit_counts_the_members_it_knows() {
    assert_eq!(shown(&member(0, &[])), (Status::Active, "Healthy with 1 known peer".to_owned()));
    let three = shown(&member(0, &[1, 2]));
    assert_eq!(three, (Status::Active, "Healthy with 3 known peers".to_owned()));
}

#[test]
fn each_state_of_the_agent_has_its_status() {
    for (state, is_ready, expected, text) in [
        (State::Joining, false, Status::Waiting, "joining: no seed answers"),
        (State::Starting, false, Status::Maintenance, "starting: no seed answers"),
        (State::Refused, false, Status::Blocked, "cannot start: no seed answers"),
        (State::Member, false, Status::Waiting, "UnHealthy with 2 known peers"),
        (State::Member, true, Status::Active, "Healthy with 2 known peers"),
    ] {
        let mut facts = member(0, &[1]);
        let agent = facts.agent.as_mut().unwrap();
        agent.state = state;
        agent.is_ready = is_ready;
        agent.reason = "no seed answers".to_owned();
        let (status, message) = shown(&facts);
        assert_eq!(status, expected, "{state:?}");
        assert!(message.starts_with(text), "{message}");
    }
}

#[test]
fn an_agent_that_does_not_answer_starts_or_is_down() {
    let mut facts = member(0, &[]);
    facts.agent = None;
    assert_eq!(shown(&facts).0, Status::Maintenance);
    facts.service = Service::Failed;
    let (status, message) = shown(&facts);
    assert_eq!(status, Status::Blocked);
    assert!(message.contains("journalctl -u quorate-etcd-0.service"), "{message}");
}

#[test]
fn alarms_and_another_clusters_disk_need_a_person() {
    let mut facts = member(0, &[1]);
    let alarm = Alarm { member: format!("{:016x}", 1), alarm: "CORRUPT".to_owned() };
    facts.agent.as_mut().unwrap().alarms = vec![alarm];
    let (status, message) = shown(&facts);
    assert!(status == Status::Blocked && message.contains("etcd-1"), "{message}");
    facts.agent = Some(agent(0, &[1]));
    facts.agent.as_mut().unwrap().cluster_id = Some("ff".to_owned());
    let (status, message) = shown(&facts);
    assert!(status == Status::Blocked && message.contains("cluster ff"), "{message}");
}

#[test]
fn a_unit_without_storage_to_come_back_to_says_what_to_attach() {
    let mut facts = member(1, &[0]);
    facts.agent = None;
    facts.notes.leaving = Some(Leaving::Storage);
    let (status, message) = shown(&facts);
    assert!(status == Status::Blocked && message.contains("attach-storage etcd/1"), "{message}");
    facts.notes.leaving = Some(Leaving::Removed);
    assert_eq!(shown(&facts).0, Status::Maintenance);
}

#[test]
fn new_units_of_a_cluster_that_is_gone_say_so() {
    let mut facts = unit(5, &[6]);
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0"), ("cluster-id", CLUSTER)]);
    facts.service = Service::Up;
    let mut joining = agent(5, &[]);
    (joining.state, joining.cluster_id, joining.is_ready) = (State::Joining, None, false);
    facts.agent = Some(joining);
    assert_eq!(shown(&facts).0, Status::Waiting, "the other one has not said anything yet");
    set_bag(&mut facts, "etcd/6", &[("state", "joining"), ("cluster-id", "")]);
    let (status, message) = shown(&facts);
    assert!(status == Status::Blocked && message.contains("--attach-storage"), "{message}");
    set_bag(&mut facts, "etcd/6", &[("state", "member"), ("cluster-id", CLUSTER)]);
    assert_eq!(shown(&facts).0, Status::Waiting);
}

#[test]
fn the_application_is_as_well_as_its_worst_unit() {
    let own = "etcd/0".parse().unwrap();
    let well = (Status::Active, "Healthy with 2 known peers".to_owned());
    let with = |status: &str| {
        let others = [("etcd/1".parse().unwrap(), (status.to_owned(), "why".to_owned()))].into();
        application_status((&own, &well), &others)
    };
    assert_eq!(with("active"), well);
    assert_eq!(with("unknown"), well);
    assert_eq!(with("waiting"), (Status::Waiting, "etcd/1: why".to_owned()));
    assert_eq!(with("error"), (Status::Blocked, "etcd/1: why".to_owned()));
}
