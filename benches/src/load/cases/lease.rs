//! A lease of a client and the stream on which it is renewed.

use crate::load::requests;
use crate::load::worker::Worker;
use crate::wire::{CallError, Channel, Fields, Keep, Method, Stream, header_revision};

/// Longer than any run, so that no lease ends in between.
const TTL_S: i64 = 3600;

/// A granted lease.
pub struct Lease {
    pub id: i64,
    stream: Stream,
}

impl Lease {
    /// Grants a lease, opens its stream and renews it once.
    pub async fn grant(channel: &Channel) -> Result<Self, CallError> {
        let frame = requests::lease_grant(TTL_S);
        let reply = channel.call(Method::LeaseGrant, frame, Keep::Whole).await?;
        let id = Fields::number(&reply.message, 2).ok_or(CallError::Reply("lease without id"))?;
        let stream = channel.stream(Method::LeaseKeepAlive).await?;
        let mut lease = Self { id: id.cast_signed(), stream };
        lease.renew().await?;
        Ok(lease)
    }

    /// Renews the lease and checks that it still lives.
    pub async fn renew(&mut self) -> Result<(), CallError> {
        self.stream.send(requests::lease_keepalive(self.id))?;
        let message = self.stream.next().await?.ok_or(CallError::Reply("renewal stream ended"))?;
        header_revision(&message)?;
        match Fields::number(&message, 3) {
            Some(ttl_s) if ttl_s > 0 => Ok(()),
            _ => Err(CallError::Reply("lease is gone")),
        }
    }

    /// Opens the stream anew after a failure.
    pub async fn reopen(&mut self, channel: &Channel) -> Result<(), CallError> {
        self.stream = channel.stream(Method::LeaseKeepAlive).await?;
        Ok(())
    }

    /// Ends the lease, and with it the keys attached to it.
    pub async fn revoke(self, worker: &Worker, channel: &Channel) {
        let frame = requests::lease_revoke(self.id);
        if let Err(error) = channel.call(Method::LeaseRevoke, frame, Keep::Head).await {
            worker.broke(&error);
        }
    }
}
