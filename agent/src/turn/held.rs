//! Who has a turn, and changing it only if nobody else did in between.

use api::Error;
use api::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use api::etcdserverpb::request_op::Request;
use api::etcdserverpb::{Compare, RangeRequest, RangeResponse, RequestOp, TxnRequest};
use bytes::Bytes;
use prost::Message;
use store::{LeaseId, Op, Reply};

use crate::fault;
use crate::member::Member;

/// A turn as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Member name; `None` when nobody has the turn.
    pub holder: Option<String>,
    /// Bound to the key; 0 for none.
    pub lease: i64,
    /// Revision of the key's last change; 0 when nobody has the turn.
    mod_revision: i64,
}

impl Held {
    /// Reads the turn as everybody agrees on it.
    pub async fn read(member: &Member, key: &Bytes) -> Result<Self, Error> {
        member.node.read_index().await?;
        let request = RangeRequest { key: key.clone(), ..Default::default() };
        let (store, header) = (member.store.clone(), member.header());
        // The key may have left memory long ago.
        let encoded = tokio::task::spawn_blocking(move || store.range(&request, &header));
        let encoded = encoded.await.map_err(|_| Error::Stopped)?.map_err(fault::read)?;
        let found = RangeResponse::decode(encoded)
            .map_err(|error| Error::Internal(format!("etcdserver: own answer: {error}")))?;
        Ok(found.kvs.into_iter().next().map_or_else(Self::default, |row| Self {
            holder: Some(String::from_utf8_lossy(&row.value).into_owned()),
            lease: row.lease,
            mod_revision: row.mod_revision,
        }))
    }

    /// Does something with the key if it is still as it was read; false when it is not.
    pub async fn replace(
        &self,
        member: &Member,
        key: &Bytes,
        action: Request,
    ) -> Result<bool, Error> {
        let request = TxnRequest {
            compare: vec![Compare {
                key: key.clone(),
                result: CompareResult::Equal.into(),
                target: CompareTarget::Mod.into(),
                target_union: Some(TargetUnion::ModRevision(self.mod_revision)),
                ..Default::default()
            }],
            success: vec![RequestOp { request: Some(action) }],
            failure: Vec::new(),
        };
        match member.node.propose_op(Op::Txn(request)).await? {
            Reply::Txn(response) => Ok(response.succeeded),
            _ => Err(fault::mismatched_reply()),
        }
    }
}

/// Ends a lease that is not needed any more. What goes wrong is told to nobody: the lease ends by
/// itself when its time is over.
pub async fn end_lease(member: &Member, lease: i64) {
    if lease == 0 {
        return;
    }
    if let Err(error) = member.node.propose_op(Op::LeaseRevoke(vec![LeaseId(lease)])).await {
        tracing::debug!(%error, "a turn's lease ends by itself");
    }
}
