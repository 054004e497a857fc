//! Alarm: list, raise, clear.

use api::Error;
use api::etcdserverpb::alarm_request::AlarmAction;
use api::etcdserverpb::{AlarmMember, AlarmRequest, AlarmResponse, AlarmType};
use bytes::Bytes;
use store::{Op, Reply};

use crate::fault;
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers an `AlarmRequest`. A list is this member's view and needs no quorum, so that alarms can
/// be seen in a cluster that has none.
///
/// # Errors
/// Those of a proposal.
pub async fn alarm(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: AlarmRequest = decode(raw)?;
    let mut response = match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Get) => list(member, request.alarm),
        Ok(AlarmAction::Activate | AlarmAction::Deactivate) => propose(member, request).await?,
        // etcd does nothing and answers nothing.
        Err(_) => AlarmResponse::default(),
    };
    member.complete(&mut response.header);
    Ok(Frame::encode(&response))
}

fn list(member: &Member, of_type: i32) -> AlarmResponse {
    let mut alarms = member.store.read(|store| store.alarms());
    alarms.retain(|alarm| of_type == AlarmType::None as i32 || alarm.alarm == of_type);
    AlarmResponse { header: Some(member.header()), alarms }
}

/// Takes one alarm back for somebody who is no client.
///
/// # Errors
/// Those of a proposal, and `NotSupportedForLearner`.
pub async fn disarm(member: &Member, alarm: &AlarmMember) -> Result<(), Error> {
    let request = AlarmRequest {
        action: AlarmAction::Deactivate.into(),
        member_id: alarm.member_id,
        alarm: alarm.alarm,
    };
    propose(member, request).await.map(drop)
}

async fn propose(member: &Member, request: AlarmRequest) -> Result<AlarmResponse, Error> {
    if member.is_learner() {
        return Err(Error::NotSupportedForLearner);
    }
    match member.node.propose_op(Op::Alarm(request)).await? {
        Reply::Alarm(response) => Ok(response),
        _ => Err(fault::mismatched_reply()),
    }
}
