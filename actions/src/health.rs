//! `health`: every member and the cluster.

use hooks::Unit;
use hooks::agent::{AgentStatus, Member, State};
use juju::Parameters;

use crate::outcome::{Failure, Outcome, Results, results, status};
use crate::probe::is_healthy;

/// Says of each member and of the cluster whether it is healthy, as seen from this unit.
///
/// # Errors
///
/// When the cluster is not healthy or the member does not answer; the results are there as far as
/// they are known.
pub fn health(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let mut status = status(unit)?;
    ask_the_others(&mut status);
    judge(&status)
}

/// Only the leader hears of everybody; what the member of this unit cannot tell is asked directly.
fn ask_the_others(status: &mut AgentStatus) {
    let own = status.member_id.clone();
    std::thread::scope(|scope| {
        let is_unknown =
            |member: &&mut Member| member.is_alive.is_none() && Some(&member.id) != own.as_ref();
        for member in status.members.iter_mut().filter(is_unknown) {
            scope.spawn(|| {
                member.is_alive = member.client_urls.first().and_then(|url| is_healthy(url));
            });
        }
    });
}

fn judge(status: &AgentStatus) -> Outcome {
    let results = describe(status);
    if status.state != State::Member {
        let reason = if status.reason.is_empty() { "no reason given" } else { &status.reason };
        let message = format!(
            "this unit is not a serving member, it is {}: {reason}; run the action on another unit",
            status.state.as_str()
        );
        return Err(Failure { message, results });
    }
    if !status.is_ready {
        let message = "the cluster is unhealthy: this member reaches no majority; bring back the \
                       units that are down";
        return Err(Failure { message: message.to_owned(), results });
    }
    if let Some(alarm) = status.alarms.first() {
        let message = format!(
            "the cluster has alarm {}: run action alarm-list, free space, then alarm-disarm",
            alarm.alarm
        );
        return Err(Failure { message, results });
    }
    Ok(results)
}

fn describe(status: &AgentStatus) -> Results {
    let is_healthy = status.is_ready && status.alarms.is_empty();
    let verdict = if is_healthy { "healthy" } else { "unhealthy" };
    let mut lines: Vec<String> = status.members.iter().map(|member| line(status, member)).collect();
    lines.push(format!("cluster is {verdict}"));
    let text = lines.join("\n");
    let reachable =
        status.members.iter().filter(|member| is_alive(status, member) == Some(true)).count();
    let leader = status.members.iter().find(|member| Some(&member.id) == status.leader.as_ref());
    let alarms = status.alarms.iter().map(|alarm| alarm.alarm.as_str());
    results([
        ("output", text.clone()),
        ("result-map.message", text),
        ("cluster", verdict.to_owned()),
        ("members", status.members.len().to_string()),
        ("members-reachable", reachable.to_string()),
        ("leader", leader.map(|leader| leader.name.clone()).unwrap_or_default()),
        ("alarms", alarms.collect::<Vec<_>>().join(",")),
        ("revision", status.revision.to_string()),
        ("version", status.workload_version().to_owned()),
    ])
}

fn line(status: &AgentStatus, member: &Member) -> String {
    let name = if member.name.is_empty() { "not started yet" } else { &member.name };
    let role = match () {
        () if member.is_learner => ", learner",
        () if Some(&member.id) == status.leader.as_ref() => ", leader",
        () => "",
    };
    let verdict = match is_alive(status, member) {
        Some(true) => "is healthy",
        Some(false) => "does not answer",
        None => "is not known to this unit; the unit of the leader can tell",
    };
    let urls = member.client_urls.join(",");
    format!("member {} ({name}{role}) {verdict}: {urls}", member.id)
}

/// The member that answers is alive, whatever it knows about others.
fn is_alive(status: &AgentStatus, member: &Member) -> Option<bool> {
    match Some(&member.id) == status.member_id.as_ref() {
        true => Some(true),
        false => member.is_alive,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> AgentStatus {
        let member = |id: &str, is_alive| Member {
            id: id.to_owned(),
            name: format!("etcd-{id}"),
            client_urls: vec![format!("http://10.0.0.{id}:2379")],
            is_alive,
            ..Member::default()
        };
        AgentStatus {
            state: State::Member,
            is_ready: true,
            member_id: Some("1".to_owned()),
            leader: Some("2".to_owned()),
            members: vec![member("1", None), member("2", Some(true)), member("3", None)],
            ..AgentStatus::default()
        }
    }

    #[test]
    fn a_healthy_cluster_is_told_member_by_member() {
        let results = judge(&cluster()).unwrap();
        let text = "member 1 (etcd-1) is healthy: http://10.0.0.1:2379\n\
                    member 2 (etcd-2, leader) is healthy: http://10.0.0.2:2379\n\
                    member 3 (etcd-3) is not known to this unit; the unit of the leader can tell: \
                    http://10.0.0.3:2379\n\
                    cluster is healthy";
        assert_eq!(results["output"], text);
        assert_eq!(results["result-map.message"], text);
        assert_eq!(
            (results["leader"].as_str(), results["members-reachable"].as_str()),
            ("etcd-2", "2")
        );
    }

    #[test]
    fn an_unhealthy_one_fails_with_what_is_known() {
        let mut status = cluster();
        status.is_ready = false;
        status.members[1].is_alive = Some(false);
        let failure = judge(&status).unwrap_err();
        assert!(failure.message.contains("no majority"), "{}", failure.message);
        assert_eq!(failure.results["cluster"], "unhealthy");
        assert!(failure.results["output"].contains("etcd-2, leader) does not answer"));
    }

    #[test]
    fn a_unit_that_joins_says_so() {
        let status = AgentStatus { state: State::Joining, ..AgentStatus::default() };
        assert!(judge(&status).unwrap_err().message.contains("it is joining"));
    }
}
