//! `/health`: one answer for load balancers, as old as etcd.

use api::etcdserverpb::{AlarmMember, AlarmType};
use http::{Response, StatusCode};
use serde::Serialize;

use super::query::Query;
use super::{probes, reply};
use crate::member::Member;
use crate::server::body::Answer;

#[derive(Serialize)]
struct Health<'a> {
    health: &'a str,
    reason: &'a str,
}

/// `exclude=NOSPACE` overlooks an alarm, `serializable=true` asks only this member.
pub async fn answer(member: &Member, query: &Query<'_>) -> Response<Answer> {
    let serializable = query.is("serializable", "true");
    let reason = match reason_without_read(member, query, serializable) {
        Some(reason) => Some(reason),
        None => probes::read(member, serializable).await.err().map(|e| format!("RANGE ERROR:{e}")),
    };
    member.metrics.health_checked(reason.is_none());
    respond(reason)
}

fn respond(reason: Option<String>) -> Response<Answer> {
    let healthy = reason.is_none();
    let health = if healthy { "true" } else { "false" };
    let health = Health { health, reason: reason.as_deref().unwrap_or_default() };
    let body = serde_json::to_string(&health).expect("two strings are JSON");
    if healthy {
        reply::text(StatusCode::OK, body)
    } else {
        reply::error(StatusCode::SERVICE_UNAVAILABLE, &body)
    }
}

fn reason_without_read(member: &Member, query: &Query<'_>, serializable: bool) -> Option<String> {
    let alarms = member.store.read(|store| store.alarms());
    if let Some(alarm) = first_alarm(&alarms, query) {
        return Some(format!("ALARM {alarm}"));
    }
    (!serializable && !member.has_leader()).then(|| "RAFT NO LEADER".to_owned())
}

fn first_alarm(alarms: &[AlarmMember], query: &Query<'_>) -> Option<&'static str> {
    alarms
        .iter()
        .map(|alarm| AlarmType::try_from(alarm.alarm).map_or("UNKNOWN", |kind| kind.as_str_name()))
        .find(|name| !query.is("exclude", name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excluded_alarm_is_overlooked() {
        let alarms = [AlarmMember { member_id: 1, alarm: AlarmType::Nospace.into() }];
        assert_eq!(first_alarm(&alarms, &Query::new(None)), Some("NOSPACE"));
        assert_eq!(first_alarm(&alarms, &Query::new(Some("exclude=NOSPACE"))), None);
    }

    #[test]
    fn the_shapes_are_etcds() {
        let Answer::Full(body) = respond(None).into_body() else { panic!("a full body") };
        assert_eq!(body, r#"{"health":"true","reason":""}"#);
        let response = respond(Some("ALARM NOSPACE".to_owned()));
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let Answer::Full(body) = response.into_body() else { panic!("a full body") };
        assert_eq!(body, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
    }
}
