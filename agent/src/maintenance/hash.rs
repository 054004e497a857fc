//! Hash: a digest of everything this member holds, for tests.

use api::etcdserverpb::HashResponse;

use super::hash_kv;
use crate::member::Member;
use crate::server::frame::Frame;
use crate::server::status::Failure;

/// Answers a `HashRequest`: the digest of the keys at the current revision. etcd's covers its whole
/// file, which members may compare only with themselves anyway.
///
/// # Errors
/// `Internal` when the database cannot be read.
pub async fn hash(member: &Member) -> Result<Frame, Failure> {
    let digest = hash_kv::digest(member, 0).await?;
    Ok(Frame::encode(&HashResponse { header: Some(member.header()), hash: digest.hash }))
}
