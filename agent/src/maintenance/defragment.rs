//! Defragment: what is written is committed and synced; nothing else has to be done, and nothing
//! waits for it. The database reuses the pages that compaction frees (design section 5).

use api::Error;
use api::etcdserverpb::DefragmentResponse;

use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `DefragmentRequest`; there is no header in the answer (etcd-surface 1.3).
///
/// # Errors
/// `Internal` when the database fails.
pub async fn defragment(member: &Member) -> Result<Frame, Failure> {
    settle_database(member).await?;
    Ok(Frame::encode(&DefragmentResponse::default()))
}

/// Waits until everything applied so far is committed and synced.
///
/// # Errors
/// `Internal` when the database fails.
pub async fn settle_database(member: &Member) -> Result<(), Error> {
    let (done, finished) = tokio::sync::oneshot::channel();
    member.node.backend().flush(Box::new(move |outcome| {
        // The client may have given up.
        let _ = done.send(outcome);
    }));
    match finished.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Error::Internal(format!("etcdserver: defragment: {error}"))),
        Err(_) => Err(Error::Stopped),
    }
}
