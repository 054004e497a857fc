//! `alarm-list` and `alarm-disarm`.

use hooks::Unit;
use hooks::agent::{Agent, Alarm};
use juju::Parameters;

use crate::outcome::{Failure, Outcome, refused, results, status};

/// The alarms that are raised, and by which member.
///
/// # Errors
///
/// When the member does not answer.
pub fn alarm_list(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let alarms = status(unit)?.alarms;
    let output = if alarms.is_empty() { "no alarms".to_owned() } else { text(&alarms) };
    Ok(results([("output", output), ("alarms", alarms.len().to_string())]))
}

/// Takes all alarms back.
///
/// # Errors
///
/// When the member does not answer, and without a majority.
pub fn alarm_disarm(unit: &Unit, _parameters: &Parameters) -> Outcome {
    let answer =
        Agent::new(&unit.paths).disarm().map_err(|error| refused(unit, "disarm", error))?;
    let disarmed = answer.get("disarmed").cloned().unwrap_or_default();
    let alarms: Vec<Alarm> = serde_json::from_value(disarmed)
        .map_err(|error| Failure::new(format!("the agent's answer is not understood: {error}")))?;
    let output = match alarms.is_empty() {
        true => "no alarms were raised".to_owned(),
        false => format!("disarmed:\n{}", text(&alarms)),
    };
    Ok(results([("output", output), ("disarmed", alarms.len().to_string())]))
}

/// As `etcdctl alarm list` has it.
fn text(alarms: &[Alarm]) -> String {
    let line = |alarm: &Alarm| format!("memberID:{} alarm:{}", alarm.member, alarm.alarm);
    alarms.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_one_line_each() {
        let alarm = |kind: &str| Alarm { member: "1".to_owned(), alarm: kind.to_owned() };
        let text = text(&[alarm("NOSPACE"), alarm("CORRUPT")]);
        assert_eq!(text, "memberID:1 alarm:NOSPACE\nmemberID:1 alarm:CORRUPT");
    }
}
