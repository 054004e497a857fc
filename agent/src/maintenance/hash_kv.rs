//! HashKV: a digest of the keys up to a revision, equal on all members that compacted equally.

use api::Error;
use api::etcdserverpb::{HashKvRequest, HashKvResponse};
use bytes::Bytes;
use store::HashKv;

use crate::member::{Member, decode};
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `HashKVRequest`; revision 0 is the current one.
///
/// # Errors
/// `Compacted`, `FutureRevision`, `Internal` when the database cannot be read.
pub async fn hash_kv(member: &Member, raw: Bytes) -> Result<Frame, Failure> {
    let request: HashKvRequest = decode(raw)?;
    let digest = digest(member, request.revision).await?;
    Ok(Frame::encode(&HashKvResponse {
        header: Some(member.header()),
        hash: digest.hash,
        compact_revision: digest.compact_revision,
        hash_revision: digest.hash_revision,
    }))
}

/// Works through the history on a blocking thread.
pub(super) async fn digest(member: &Member, revision: i64) -> Result<HashKv, Failure> {
    let permit = member.long_reads.clone().acquire_owned().await;
    let store = member.store.clone();
    let digest = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        store.hash_kv(revision)
    });
    Ok(digest.await.map_err(|_| Error::Stopped)??)
}
