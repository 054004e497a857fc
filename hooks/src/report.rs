//! What `juju status` shows.

use std::collections::BTreeMap;

use juju::{Status, UnitName};

use crate::agent::{AgentStatus, State};
use crate::decide::Course;
use crate::facts::{Facts, Service};
use crate::notes::Leaving;
use crate::settings::Settings;

/// A status and its message.
pub type Shown = (Status, String);

/// What came of a hook's steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What the agent says now.
    pub agent: Option<AgentStatus>,
    /// The settings that count from now on; `None` when the member is not to run.
    pub settings: Option<Settings>,
    /// How the service stands now; `None` when nothing was done to it.
    pub service: Option<Service>,
    /// A line for a person who has to act.
    pub problem: Option<String>,
    /// A line about work that goes on by itself in a later hook.
    pub pending: Option<String>,
}

/// The unit's status.
pub fn unit_status(facts: &Facts, course: &Course, outcome: &Outcome) -> Shown {
    if let (Course::Leave(_), Some(pending)) = (course, &outcome.pending) {
        return (Status::Maintenance, pending.clone());
    }
    match course {
        Course::Leave(Leaving::Removed) | Course::StayAway(Leaving::Removed) => {
            return (Status::Maintenance, "left the cluster; the unit is being removed".to_owned());
        }
        Course::Leave(Leaving::Storage) | Course::StayAway(Leaving::Storage) => {
            let line = format!(
                "left the cluster with its storage: juju attach-storage {} STORAGE, or remove the \
                 unit",
                facts.unit
            );
            return (Status::Blocked, line);
        }
        Course::Blocked(line) => return (Status::Blocked, line.clone()),
        Course::Wait(line) => {
            return match &outcome.problem {
                Some(problem) => (Status::Blocked, problem.clone()),
                None => (Status::Waiting, line.clone()),
            };
        }
        Course::Run(_) => {}
    }
    if let Some(problem) = problem(facts, outcome) {
        return (Status::Blocked, problem);
    }
    if let Some(pending) = &outcome.pending {
        return (Status::Maintenance, pending.clone());
    }
    match &outcome.agent {
        Some(agent) => agent_status(facts, agent),
        None if outcome.service.unwrap_or(facts.service) == Service::Up => {
            (Status::Maintenance, "starting".to_owned())
        }
        None => {
            let service = facts.paths.service();
            (Status::Blocked, format!("service {service} is down: see journalctl -u {service}"))
        }
    }
}

fn problem(facts: &Facts, outcome: &Outcome) -> Option<String> {
    if outcome.problem.is_some() {
        return outcome.problem.clone();
    }
    let agent = outcome.agent.as_ref()?;
    let known = facts.peer.as_ref().and_then(|peer| peer.cluster_id());
    match (known, &agent.cluster_id) {
        (Some(known), Some(own)) if known != own => Some(format!(
            "the data of this unit belong to cluster {own}, the application is cluster {known}: \
             remove this unit"
        )),
        _ => None,
    }
}

fn agent_status(facts: &Facts, agent: &AgentStatus) -> Shown {
    match agent.state {
        State::Joining if is_orphaned(facts) => (
            Status::Blocked,
            "no unit has the data of this cluster: juju add-unit --attach-storage with a kept \
             storage, or deploy the application anew"
                .to_owned(),
        ),
        State::Joining => (Status::Waiting, with_reason("joining", &agent.reason)),
        State::Starting | State::Unknown => {
            (Status::Maintenance, with_reason("starting", &agent.reason))
        }
        State::Refused => (Status::Blocked, with_reason("cannot start", &agent.reason)),
        State::Leaving => (Status::Maintenance, "leaving the cluster".to_owned()),
        State::Left => (Status::Maintenance, "joining again".to_owned()),
        State::Member => member_status(agent),
    }
}

fn member_status(agent: &AgentStatus) -> Shown {
    let raised = |kind: &str| agent.alarms.iter().find(|alarm| alarm.alarm == kind);
    if let Some(alarm) = raised("CORRUPT") {
        let name = name_of(agent, &alarm.member);
        let line = format!("alarm CORRUPT: the data of {name} differ: remove that unit");
        return (Status::Blocked, line);
    }
    if raised("NOSPACE").is_some() {
        let line = "alarm NOSPACE: delete keys and run action compact, or raise option \
                    quota-backend-bytes";
        return (Status::Blocked, line.to_owned());
    }
    let peers = known_peers(agent.members.len());
    if !agent.is_ready {
        let why = if agent.leader.is_none() { "no leader" } else { "no majority answers" };
        return (Status::Waiting, format!("UnHealthy with {peers}: {why}"));
    }
    if agent.is_learner {
        return (Status::Waiting, "joining: catching up".to_owned());
    }
    (Status::Active, format!("Healthy with {peers}"))
}

/// `1 known peer`, `3 known peers`; the member itself counts.
pub fn known_peers(count: usize) -> String {
    if count == 1 { "1 known peer".to_owned() } else { format!("{count} known peers") }
}

/// True when this is a new unit of an application whose cluster went with its last units.
fn is_orphaned(facts: &Facts) -> bool {
    let Some(peer) = &facts.peer else { return false };
    let (Some(cluster), Some(expected)) = (peer.cluster_id(), facts.expected_units()) else {
        return false;
    };
    let has_it =
        |bag: &BTreeMap<String, String>| bag.get("cluster-id").is_some_and(|id| id == cluster);
    let are_all_known = expected.iter().all(|unit| {
        *unit == facts.unit || peer.units.get(unit).is_some_and(|bag| bag.contains_key("state"))
    });
    are_all_known && !peer.units.values().any(has_it)
}

fn name_of<'a>(agent: &'a AgentStatus, id: &'a str) -> &'a str {
    let member = agent.members.iter().find(|member| member.id == id);
    member.map(|member| member.name.as_str()).filter(|name| !name.is_empty()).unwrap_or(id)
}

fn with_reason(what: &str, reason: &str) -> String {
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

/// The application's status: the worst of its units', with that unit's name; what the leader's own
/// agent knows when all are well.
pub fn application_status(
    own: (&UnitName, &Shown),
    others: &BTreeMap<UnitName, (String, String)>,
) -> Shown {
    let (unit, shown) = own;
    let rank = |status: Status| match status {
        Status::Active => 0,
        Status::Waiting => 1,
        Status::Maintenance => 2,
        Status::Blocked => 3,
    };
    let mut worst = (shown.0, shown.1.clone(), unit);
    for (other, (status, message)) in others.iter().filter(|(other, _)| *other != unit) {
        let Some(status) = status_of(status) else { continue };
        if rank(status) > rank(worst.0) {
            worst = (status, message.clone(), other);
        }
    }
    match worst {
        (Status::Active, message, _) => (Status::Active, message),
        (status, message, unit) => (status, format!("{unit}: {message}")),
    }
}

/// A unit's status by its name. One that Juju sets itself says nothing about the cluster, except
/// for an error.
fn status_of(name: &str) -> Option<Status> {
    match name {
        "active" => Some(Status::Active),
        "waiting" => Some(Status::Waiting),
        "maintenance" => Some(Status::Maintenance),
        "blocked" | "error" => Some(Status::Blocked),
        _ => None,
    }
}
