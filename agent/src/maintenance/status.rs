//! Status: what this member knows of itself, without asking anybody.

use api::etcdserverpb::{AlarmMember, AlarmType, DowngradeInfo, StatusResponse};
use api::{ETCD_VERSION, Error};
use store::MemberId;

use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// The database format that goes with the reported version, as etcd writes it: minor level.
const STORAGE_VERSION: &str = "3.7.0";

/// Answers a `StatusRequest`.
///
/// # Errors
/// None; the type is that of every call.
pub fn status(member: &Member) -> Result<Frame, Failure> {
    let status = member.node.status();
    let in_use = member.standing.bytes_in_use();
    let alarms = member.store.read(|store| store.alarms());
    let response = StatusResponse {
        header: Some(member.header()),
        version: ETCD_VERSION.to_owned(),
        db_size: signed(member.node.backend().size_bytes().max(in_use)),
        leader: status.leader.map_or(0, |MemberId(id)| id),
        raft_index: status.committed_index,
        raft_term: status.term,
        raft_applied_index: status.applied_index,
        errors: errors(status.leader, &alarms),
        db_size_in_use: signed(in_use),
        is_learner: status.is_learner,
        storage_version: STORAGE_VERSION.to_owned(),
        db_size_quota: signed(member.quota.bytes()),
        downgrade_info: Some(DowngradeInfo::default()),
    };
    Ok(Frame::encode(&response))
}

/// What is wrong, in etcd's words.
fn errors(leader: Option<MemberId>, alarms: &[AlarmMember]) -> Vec<String> {
    let no_leader = leader.is_none().then(|| Error::NoLeader.text().to_owned());
    let alarms = alarms.iter().map(|alarm| {
        let kind = AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |kind| kind.as_str_name());
        format!("memberID:{} alarm:{kind} ", alarm.member_id)
    });
    no_leader.into_iter().chain(alarms).collect()
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_listed_in_etcds_words() {
        let alarm = AlarmMember { member_id: 7, alarm: AlarmType::Nospace.into() };
        assert_eq!(errors(None, &[alarm]), ["etcdserver: no leader", "memberID:7 alarm:NOSPACE "]);
        assert!(errors(Some(MemberId(1)), &[]).is_empty());
    }
}
