//! `POST /v1/compact`: history is given up.

use std::sync::Arc;

use api::etcdserverpb::CompactionRequest;
use http::Request;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::member;
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::kv;
use crate::life::Life;

/// Up to where.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Compact {
    /// Absent: the current one.
    revision: Option<i64>,
    /// Wait until the rows are gone from this member.
    #[serde(default)]
    physical: bool,
}

/// Up to where it was.
#[derive(Serialize)]
pub struct Compacted {
    revision: i64,
}

/// Compacts as the service does.
///
/// # Errors
/// `out-of-range` for a revision that is gone already or has not come yet, `no-quorum`,
/// `failed-precondition` on a learner, `no-member`, `bad-request`.
pub async fn compact(life: &Arc<Life>, request: Request<Incoming>) -> Result<Compacted, Refusal> {
    let Compact { revision, physical } = request::json(request).await?;
    let member = member(life)?;
    let revision = match revision {
        Some(revision) => revision,
        None => {
            // The current one as everybody agrees on it, however far this member is behind.
            member.node.read_index().await?;
            member.store.current_revision()
        }
    };
    kv::compact_to(&member, CompactionRequest { revision, physical }).await?;
    Ok(Compacted { revision })
}
