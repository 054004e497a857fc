//! Range: answered from memory where the request arrived, or on a blocking thread when it is large
//! or needs the database.

use api::etcdserverpb::RangeRequest;
use bytes::Bytes;

use crate::gate;
use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Rows that may be copied on an asynchronous thread: at the usual sizes of values this takes less
/// time than handing the request to another thread and back would cost.
const QUICK_ROWS_MAX: usize = 1024;

/// Answers a `RangeRequest`.
///
/// # Errors
/// Those of etcd-surface 1.4 and those of a linearizable read.
pub async fn range(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: RangeRequest = decode(raw)?;
    store::check_range(&request)?;
    member.metrics.store.range();
    if !request.serializable {
        gate::admit_read(member, false)?;
        member.node.read_index().await?;
    }
    if let Some(encoded) = member.store.range_quick(&request, &member.header(), QUICK_ROWS_MAX)? {
        return Ok(Frame::message(encoded));
    }
    Box::pin(long_range(member, request)).await
}

async fn long_range(member: &Member, request: RangeRequest) -> Result<Frame, Failure> {
    let permit = member.long_reads.clone().acquire_owned().await;
    let (store, header) = (member.store.clone(), member.header());
    let encoded = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        store.range(&request, &header)
    });
    let encoded = encoded.await.map_err(|_| api::Error::Stopped)??;
    Ok(Frame::message(encoded))
}
