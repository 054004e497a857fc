//! `POST /v1/alarms/disarm`: every alarm is taken back.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use serde::Serialize;

use super::{Nothing, member};
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::admin::status::Alarm;
use crate::life::Life;
use crate::maintenance;

/// What stood until now.
#[derive(Serialize)]
pub struct Disarmed {
    disarmed: Vec<Alarm>,
}

/// Takes the alarms back one by one, as `etcdctl alarm disarm` does.
///
/// # Errors
/// `no-quorum`, `failed-precondition` on a learner, `no-member`, `bad-request`.
pub async fn disarm(life: &Arc<Life>, request: Request<Incoming>) -> Result<Disarmed, Refusal> {
    let Nothing {} = request::json(request).await?;
    let member = member(life)?;
    // An alarm that was raised elsewhere a moment ago counts too.
    member.node.read_index().await?;
    let alarms = member.store.read(|store| store.alarms());
    let mut disarmed = Vec::with_capacity(alarms.len());
    for alarm in alarms {
        maintenance::disarm(&member, &alarm).await?;
        disarmed.push(Alarm::from(&alarm));
    }
    Ok(Disarmed { disarmed })
}
