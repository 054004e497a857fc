//! `/livez` and `/readyz`, whole or check by check.

use api::Error;
use api::etcdserverpb::RangeRequest;
use http::{Response, StatusCode};

use super::query::Query;
use super::reply;
use crate::fault;
use crate::member::Member;
use crate::server::body::Answer;

/// One thing that can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The alarm CORRUPT is on.
    DataCorruption,
    /// This member cannot read its own store.
    SerializableRead,
    /// The cluster does not answer.
    LinearizableRead,
    /// A learner is not ready: it serves few requests.
    NonLearner,
}

const LIVE: &[Check] = &[Check::SerializableRead];
const READY: &[Check] =
    &[Check::DataCorruption, Check::SerializableRead, Check::LinearizableRead, Check::NonLearner];

impl Check {
    fn name(self) -> &'static str {
        match self {
            Self::DataCorruption => "data_corruption",
            Self::SerializableRead => "serializable_read",
            Self::LinearizableRead => "linearizable_read",
            Self::NonLearner => "non_learner",
        }
    }

    async fn run(self, member: &Member) -> Result<(), String> {
        let outcome = match self {
            Self::DataCorruption if member.standing.is_corrupt() => Err("alarm activated: CORRUPT"),
            Self::NonLearner if member.is_learner() => Err("not supported for learner"),
            Self::DataCorruption | Self::NonLearner => Ok(()),
            Self::SerializableRead => return read(member, true).await.map_err(range_error),
            Self::LinearizableRead => return read(member, false).await.map_err(range_error),
        };
        outcome.map_err(str::to_owned)
    }
}

fn range_error(error: Error) -> String {
    format!("range error: {error}")
}

/// The checks a path asks for; the sub-path names one of them.
pub fn find(path: &str) -> Option<&'static [Check]> {
    let (probe, name) = match path.strip_prefix('/')?.split_once('/') {
        Some((probe, name)) => (probe, Some(name)),
        None => (path.strip_prefix('/')?, None),
    };
    let checks = match probe {
        "livez" => LIVE,
        "readyz" => READY,
        _ => return None,
    };
    let Some(name) = name else { return Some(checks) };
    let at = checks.iter().position(|check| check.name() == name)?;
    Some(&checks[at..=at])
}

/// Runs the checks that are not excluded. Failures are always told in full, success on request.
pub async fn answer(
    member: &Member,
    checks: &'static [Check],
    query: &Query<'_>,
) -> Response<Answer> {
    let mut lines = String::new();
    let mut healthy = true;
    for check in checks.iter().filter(|check| !query.is("exclude", check.name())) {
        match check.run(member).await {
            Ok(()) => lines.push_str(&format!("[+]{} ok\n", check.name())),
            Err(reason) => {
                healthy = false;
                lines.push_str(&format!("[-]{} failed: {reason}\n", check.name()));
            }
        }
    }
    member.metrics.health_checked(healthy);
    match (healthy, query.has("verbose")) {
        (false, _) => reply::error(StatusCode::SERVICE_UNAVAILABLE, &lines),
        (true, true) => reply::text(StatusCode::OK, lines + "ok\n"),
        (true, false) => reply::text(StatusCode::OK, "ok\n"),
    }
}

/// Reads at most one key, which shows that reads work.
pub async fn read(member: &Member, serializable: bool) -> Result<(), Error> {
    if !serializable {
        member.node.read_index().await?;
    }
    let request = RangeRequest {
        key: bytes::Bytes::from_static(b"\0"),
        limit: 1,
        keys_only: true,
        serializable,
        ..Default::default()
    };
    let outcome = member.store.range_quick(&request, &member.header(), 1);
    outcome.map(drop).map_err(fault::read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_have_sub_paths_for_their_own_checks() {
        assert_eq!(find("/livez"), Some(LIVE));
        assert_eq!(find("/readyz"), Some(READY));
        assert_eq!(find("/readyz/non_learner"), Some(&[Check::NonLearner][..]));
        for unknown in ["/livez/non_learner", "/readyz/", "/readyz/x", "/", "livez", "/healthz"] {
            assert_eq!(find(unknown), None, "{unknown}");
        }
    }
}
