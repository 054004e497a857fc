//! `POST /v1/defragment`: what is written is on disk, and how much room the database takes.

use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use serde::Serialize;

use super::{Nothing, member};
use crate::admin::refusal::Refusal;
use crate::admin::request;
use crate::life::Life;
use crate::maintenance;

/// Size of the database's files.
#[derive(Serialize)]
pub struct Defragmented {
    bytes_before: u64,
    bytes_after: u64,
}

/// Defragments as the service does.
///
/// # Errors
/// `failed` when the database fails, `no-member`, `bad-request`.
pub async fn defragment(
    life: &Arc<Life>,
    request: Request<Incoming>,
) -> Result<Defragmented, Refusal> {
    let Nothing {} = request::json(request).await?;
    let member = member(life)?;
    let bytes_before = member.node.backend().size_bytes();
    maintenance::settle_database(&member).await?;
    Ok(Defragmented { bytes_before, bytes_after: member.node.backend().size_bytes() })
}
