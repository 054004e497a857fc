//! What an API server of Kubernetes does to its etcd: mostly reads of single objects, updates that
//! compare the mod revision of what was read, creations and deletions, lists of one namespace by
//! pages, lease renewals, and watches open all the while.

use std::collections::VecDeque;

use bytes::Bytes;
use rand::Rng as _;
use rand::rngs::SmallRng;

use crate::load::cases::lease::Lease;
use crate::load::requests;
use crate::load::worker::Worker;
use crate::wire::{CallError, Channel, Fields, Keep, Method};

/// Keys of one "namespace".
const NAMESPACE_KEYS: u64 = 1000;

/// Page of a list: half a namespace, so the reply says that there is more.
const PAGE_KEYS: u64 = 500;

/// Objects one client created and has not deleted yet; with this many, it deletes.
const CREATED_MAX: usize = 100;

/// KeyValue.mod_revision.
const MOD_REVISION: u64 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Update,
    Create,
    Delete,
    List,
    Renew,
}

impl Action {
    /// The mix: 40 % gets, 20 % updates, 10 % each of creations, deletions, lists and renewals.
    fn from_percent(percent: u32) -> Self {
        match percent {
            0..40 => Self::Get,
            40..60 => Self::Update,
            60..70 => Self::Create,
            70..80 => Self::Delete,
            80..90 => Self::List,
            _ => Self::Renew,
        }
    }
}

/// One client's view.
struct Actor<'a> {
    worker: &'a Worker,
    channel: &'a Channel,
    rng: SmallRng,
    lease: Lease,
    /// What was read or written last, and its mod revision: the candidate for an update.
    last: Option<(Bytes, i64)>,
    /// Created by this client, oldest first.
    created: VecDeque<(Bytes, i64)>,
    creations: u64,
    number: usize,
}

pub async fn client(worker: &Worker, number: usize) {
    let channel = worker.channel(number);
    let Some(lease) = worker.set_up(Lease::grant(channel)).await else { return };
    let rng = worker.rng(number);
    let (last, created, creations) = (None, VecDeque::new(), 0);
    let mut actor = Actor { worker, channel, rng, lease, last, created, creations, number };
    worker.ready().await;
    while let Some(started) = worker.next().await {
        let outcome = actor.act().await;
        worker.settle(started, &outcome).await;
    }
    actor.lease.revoke(worker, channel).await;
}

impl Actor<'_> {
    async fn act(&mut self) -> Result<(), CallError> {
        match Action::from_percent(self.rng.random_range(0..100)) {
            Action::Update => match self.last.take() {
                Some((key, revision)) => self.update(key, revision).await,
                None => self.get().await,
            },
            Action::Create if self.created.len() < CREATED_MAX => self.create().await,
            Action::Create | Action::Delete => match self.created.pop_front() {
                Some((key, revision)) => self.delete(key, revision).await,
                None => self.create().await,
            },
            Action::Get => self.get().await,
            Action::List => self.list().await,
            Action::Renew => self.renew().await,
        }
    }

    async fn get(&mut self) -> Result<(), CallError> {
        let keyspace = &self.worker.workload.keyspace;
        let key = keyspace.key(keyspace.random(&mut self.rng));
        let frame = requests::get(key.clone(), false);
        let reply = self.channel.call(Method::Range, frame, Keep::Whole).await?;
        let kv = Fields::bytes(&reply.message, 2);
        let revision = kv.and_then(|kv| Fields::number(kv, MOD_REVISION));
        let revision = revision.ok_or(CallError::Reply("key not found: load keys first"))?;
        self.last = Some((key, revision.cast_signed()));
        Ok(())
    }

    /// A conflict with another client is an answer too; the next update begins with a read.
    async fn update(&mut self, key: Bytes, revision: i64) -> Result<(), CallError> {
        let value = self.worker.value.clone();
        let frame = requests::put_if_unchanged(key.clone(), value, revision, 0);
        let (written, revision) = self.txn(frame).await?;
        self.last = written.then_some((key, revision));
        Ok(())
    }

    async fn create(&mut self) -> Result<(), CallError> {
        let keyspace = &self.worker.workload.keyspace;
        // Behind all keys of the keyspace, so that lists and gets never meet them.
        let name = format!("{}~{:04}/{:08}", keyspace.prefix, self.number, self.creations);
        self.creations += 1;
        let (key, value) = (Bytes::from(name), self.worker.value.clone());
        let frame = requests::put_if_unchanged(key.clone(), value, 0, self.lease.id);
        let (written, revision) = self.txn(frame).await?;
        if written {
            self.created.push_back((key, revision));
        }
        Ok(())
    }

    async fn delete(&mut self, key: Bytes, revision: i64) -> Result<(), CallError> {
        let (deleted, _) = self.txn(requests::delete_if_unchanged(key, revision)).await?;
        match deleted {
            true => Ok(()),
            false => Err(CallError::Reply("a key of this client was changed by somebody else")),
        }
    }

    async fn list(&mut self) -> Result<(), CallError> {
        let keyspace = &self.worker.workload.keyspace;
        let namespace = keyspace.random(&mut self.rng) / NAMESPACE_KEYS;
        let first = namespace * NAMESPACE_KEYS;
        let end = keyspace.count.min(first + NAMESPACE_KEYS);
        let (key, range_end) = (keyspace.key(first), keyspace.key(end));
        let frame = requests::list(key, range_end, PAGE_KEYS as i64, false);
        let reply = self.channel.call(Method::Range, frame, Keep::Head).await?;
        let expected = PAGE_KEYS.min(end - first) as usize * keyspace.key_bytes;
        match reply.bytes >= expected {
            true => Ok(()),
            false => Err(CallError::Reply("keys missing in the list: load keys first")),
        }
    }

    async fn renew(&mut self) -> Result<(), CallError> {
        let renewed = self.lease.renew().await;
        if renewed.is_err() {
            self.lease.reopen(self.channel).await?;
        }
        renewed
    }

    /// Whether the condition held, and the revision after it.
    async fn txn(&self, frame: Bytes) -> Result<(bool, i64), CallError> {
        let reply = self.channel.call(Method::Txn, frame, Keep::Whole).await?;
        Ok((Fields::number(&reply.message, 2) == Some(1), reply.revision()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_is_the_documented_one() {
        let count = |wanted| (0..100).filter(|&p| Action::from_percent(p) == wanted).count();
        let counts = [Action::Get, Action::Update, Action::Create].map(count);
        assert_eq!(counts, [40, 20, 10]);
        assert_eq!([Action::Delete, Action::List, Action::Renew].map(count), [10, 10, 10]);
    }
}
