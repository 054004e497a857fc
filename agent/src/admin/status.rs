//! `GET /v1/status`: everything this member knows, in every state of the process.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use api::etcdserverpb::{AlarmMember, AlarmType};
use raft::{MemberInfo, Operation, Tombstone};
use serde::Serialize;
use store::MemberId;

use crate::config::ETCD_VERSION;
use crate::life::{Life, State};
use crate::member::Member;

/// A member that answers no read in this time is not ready.
const READ_TIMEOUT: Duration = Duration::from_secs(2);

/// A member that was heard of this recently is alive: several elections of the usual length.
const ALIVE_MAX: Duration = Duration::from_secs(5);

/// The answer; docs/admin.md describes it field by field.
#[derive(Debug, Default, Serialize)]
pub struct Status {
    name: String,
    version: &'static str,
    etcd_version: &'static str,
    state: &'static str,
    reason: String,
    cluster_id: Option<String>,
    member_id: Option<String>,
    leader: Option<String>,
    is_leader: bool,
    is_learner: bool,
    is_ready: bool,
    term: u64,
    revision: i64,
    applied_index: u64,
    committed_index: u64,
    members: Vec<MemberStatus>,
    operation: Option<OperationStatus>,
    tombstones: Vec<TombstoneStatus>,
    alarms: Vec<Alarm>,
    archives: Vec<PathBuf>,
}

#[derive(Debug, Serialize)]
struct MemberStatus {
    id: String,
    name: String,
    peer_urls: Vec<String>,
    client_urls: Vec<String>,
    is_learner: bool,
    is_leader: bool,
    is_alive: Option<bool>,
}

#[derive(Debug, Serialize)]
struct OperationStatus {
    kind: &'static str,
    member: String,
    name: String,
    phase: &'static str,
    started_s: u64,
    deadline_s: u64,
}

#[derive(Debug, Serialize)]
struct TombstoneStatus {
    id: String,
    name: String,
    reason: &'static str,
}

/// An alarm that stands.
#[derive(Debug, Serialize)]
pub struct Alarm {
    member: String,
    alarm: &'static str,
}

impl From<&AlarmMember> for Alarm {
    fn from(alarm: &AlarmMember) -> Self {
        let kind = AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |kind| kind.as_str_name());
        Self { member: hex(MemberId(alarm.member_id)), alarm: kind }
    }
}

/// Looks at everything once.
pub async fn status(life: &Arc<Life>) -> Status {
    let stage = life.stage();
    let process = Status {
        name: life.name().to_owned(),
        version: env!("CARGO_PKG_VERSION"),
        etcd_version: ETCD_VERSION,
        state: stage.state.as_str(),
        reason: stage.reason,
        ..Status::default()
    };
    match life.member() {
        Some(member) => {
            let serves = matches!(stage.state, State::Starting | State::Member);
            let is_ready = serves && is_ready(&member).await;
            of_member(&member, process, is_ready)
        }
        None => process,
    }
}

/// Whether a leader is known and a read that everybody agrees on succeeds just now.
async fn is_ready(member: &Member) -> bool {
    member.has_leader()
        && matches!(tokio::time::timeout(READ_TIMEOUT, member.node.read_index()).await, Ok(Ok(())))
}

fn of_member(member: &Member, process: Status, is_ready: bool) -> Status {
    let node = &member.node;
    let raft = node.status();
    let mut members = node.members();
    members.sort_by_key(|info| info.id);
    let alarms = member.store.read(|store| store.alarms());
    Status {
        cluster_id: Some(format!("{:016x}", node.cluster_id())),
        member_id: Some(hex(node.member_id())),
        leader: raft.leader.map(hex),
        is_leader: raft.is_leader,
        is_learner: raft.is_learner,
        is_ready,
        term: raft.term,
        revision: member.store.current_revision(),
        applied_index: raft.applied_index,
        committed_index: raft.committed_index,
        members: members.into_iter().map(|info| of_peer(member, raft.leader, info)).collect(),
        operation: node.operation().map(operation),
        tombstones: node.tombstones().into_iter().map(tombstone).collect(),
        alarms: alarms.iter().map(Alarm::from).collect(),
        archives: node.archives(),
        ..process
    }
}

fn of_peer(member: &Member, leader: Option<MemberId>, info: MemberInfo) -> MemberStatus {
    let contact = member.node.last_contact(info.id).map(|ago| ago <= ALIVE_MAX);
    MemberStatus {
        id: hex(info.id),
        is_leader: leader == Some(info.id),
        is_alive: if info.id == member.node.member_id() { Some(true) } else { contact },
        name: info.name,
        peer_urls: info.peer_urls,
        client_urls: info.client_urls,
        is_learner: info.is_learner,
    }
}

fn operation(operation: Operation) -> OperationStatus {
    OperationStatus {
        kind: operation.kind.as_str(),
        member: hex(operation.member),
        name: operation.name,
        phase: operation.phase,
        started_s: operation.started_s,
        deadline_s: operation.deadline_s,
    }
}

fn tombstone(tombstone: Tombstone) -> TombstoneStatus {
    TombstoneStatus {
        id: hex(tombstone.id),
        name: tombstone.name,
        reason: tombstone.reason.as_str(),
    }
}

fn hex(id: MemberId) -> String {
    format!("{:016x}", id.0)
}
