//! `member-list` and `cluster-string`: who the members are.

use hooks::Unit;
use hooks::agent::Member;
use hooks::databag::{client_string, cluster_string as peer_string};
use juju::Parameters;

use crate::outcome::{Failure, Outcome, results, status};

/// The text that the endpoint `proxy` publishes, and the same for the addresses of clients.
///
/// # Errors
///
/// When the member does not answer or knows no members.
pub fn cluster_string(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let members = members(unit)?;
    let proxy = peer_string(&members);
    Ok(results([
        ("output", proxy.clone()),
        ("proxy", proxy),
        ("client", client_string(&members)),
        ("db", hooks::databag::connection_string(&members)),
    ]))
}

/// Each member with id, name and addresses.
///
/// # Errors
///
/// When the member does not answer or knows no members.
pub fn member_list(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let members = members(unit)?;
    let lines: Vec<String> = members.iter().map(line).collect();
    Ok(results([("output", lines.join("\n")), ("members", members.len().to_string())]))
}

fn members(unit: &Unit) -> Result<Vec<Member>, Failure> {
    let status = status(unit)?;
    match status.members.is_empty() {
        false => Ok(status.members),
        true => Err(Failure::new(format!(
            "this unit is {} and knows no members yet: run the action on another unit",
            status.state.as_str()
        ))),
    }
}

/// As `etcdctl member list` has it, and the role.
fn line(member: &Member) -> String {
    let started = if member.name.is_empty() { "unstarted" } else { "started" };
    let role = match (member.is_learner, member.is_leader) {
        (true, _) => "learner",
        (_, true) => "leader",
        _ => "follower",
    };
    let (peers, clients) = (member.peer_urls.join(","), member.client_urls.join(","));
    format!("{}, {started}, {}, {peers}, {clients}, {role}", member.id, member.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_one_line() {
        let member = Member {
            id: "00000000000000aa".to_owned(),
            name: "etcd-0".to_owned(),
            peer_urls: vec!["http://a:2380".to_owned()],
            client_urls: vec!["http://a:2379".to_owned()],
            is_leader: true,
            ..Member::default()
        };
        let expected = "00000000000000aa, started, etcd-0, http://a:2380, http://a:2379, leader";
        assert_eq!(line(&member), expected);
        let new = Member { id: "1".to_owned(), is_learner: true, ..Member::default() };
        assert_eq!(line(&new), "1, unstarted, , , , learner");
    }
}
