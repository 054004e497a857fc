//! One of the two servers: takes steps and says what came of them.

use std::collections::BTreeMap;

use bytes::Bytes;
use quorate_tests::{Client, Cluster, Server, Shape, pb};

use crate::generate::TXN_OPS_MAX;
use crate::leases::Leases;
use crate::plain::said;
use crate::step::Step;
use crate::watches::Stream;

/// Written to know where the watchers should be; outside of the random keys.
const MARK: &[u8] = b"m";

/// A fresh single member with its leases and watchers.
#[derive(Debug)]
pub struct Side {
    pub leases: Leases,
    pub streams: BTreeMap<usize, Stream>,
    /// One watcher that sees every event live.
    pub journal: Stream,
    /// Watches marks.
    marks: Stream,
    client: Client,
    cluster: Cluster,
}

impl Side {
    pub async fn start(server: &Server) -> Self {
        let shape = Shape::of(1).flag(format!("--max-txn-ops={TXN_OPS_MAX}"));
        let cluster = Cluster::start(server, shape).await;
        let client = cluster.client();
        let leases = Leases::default();
        let mut journal = Stream::open(&cluster.client()).await;
        journal.create(watching(b"\0", b"\0", 0, true), 0, &leases).await;
        let marks = Stream::open(&cluster.client()).await;
        Self { leases, streams: BTreeMap::new(), journal, marks, client, cluster }
    }

    /// Every event so far.
    pub fn events(&self) -> &[pb::Event] {
        &self.journal.watchers[0].events
    }

    /// Does one step; gives the answer for comparison.
    pub async fn take(&mut self, step: &Step, compacted: i64) -> String {
        let (client, leases) = (&self.client, &mut self.leases);
        match step.clone() {
            Step::Put(put) => said(client.put(leases.in_put(put)).await, leases),
            Step::Range(range) => said(client.range(range).await, leases),
            Step::DeleteRange(delete) => said(client.delete_range(delete).await, leases),
            Step::Txn(txn) => said(client.txn(leases.in_txn(txn)).await, leases),
            Step::Compact(compact) => said(client.compact(compact).await, leases),
            Step::Grant(grant) => {
                let chosen = grant.id == 0;
                let answer = client.lease_grant(grant).await;
                if let (true, Ok(granted)) = (chosen, &answer) {
                    leases.chose(granted.id);
                }
                said(answer, leases)
            }
            Step::GrantAndRevoke(grant) => {
                let id = grant.id;
                let granted = said(client.lease_grant(grant).await, leases);
                let revoked = said(client.lease_revoke(pb::LeaseIdRequest { id }).await, leases);
                format!("{granted}, {revoked}")
            }
            Step::Revoke(id) => {
                let request = pb::LeaseIdRequest { id: leases.id(id) };
                said(client.lease_revoke(request).await, leases)
            }
            Step::KeepAlive(id) => {
                let mut stream = client.keep_alive().await.expect("a stream opens");
                stream.send(pb::LeaseIdRequest { id: leases.id(id) }).await;
                said(Ok(stream.expect().await), leases)
            }
            Step::TimeToLive(request) => {
                let request = pb::LeaseTimeToLiveRequest { id: leases.id(request.id), ..request };
                said(client.lease_time_to_live(request).await, leases)
            }
            Step::Leases => said(client.lease_leases(pb::Empty {}).await, leases),
            Step::Mark => said(client.put(mark()).await, leases),
            Step::Settle => String::new(),
            Step::Watch(number, request) => {
                self.stream(number).await;
                let stream = self.streams.get_mut(&number).expect("opened above");
                stream.create(request, compacted, &self.leases).await
            }
            Step::CancelWatch(number, watch_id) => match self.streams.get_mut(&number) {
                Some(stream) => stream.cancel(watch_id, &self.leases).await,
                None => "no stream".to_owned(),
            },
        }
    }

    /// The revision in the header of an answer, if it has one.
    pub fn revision_in(answer: &str) -> Option<i64> {
        let digits = answer.split("Header { cluster_id: 1, member_id: 1, revision: ").nth(1)?;
        digits.split(',').next()?.parse().ok()
    }

    async fn stream(&mut self, number: usize) {
        if !self.streams.contains_key(&number) {
            let stream = Stream::open(&self.cluster.client()).await;
            self.streams.insert(number, stream);
        }
    }

    /// Writes a mark and reads until all watchers have everything up to it; gives its revision.
    ///
    /// A watcher that starts at the mark is behind when it is created. etcd lets all watchers that
    /// are behind catch up in one pass, so when this one has its event, those without any event to
    /// get have caught up too.
    pub async fn settle(&mut self) -> Result<i64, String> {
        let answer =
            self.client.put(mark()).await.map_err(|status| format!("a mark: {status:?}"))?;
        let revision = answer.header.map_or(0, |header| header.revision);
        self.journal.reach(revision, &self.leases).await?;
        let number = self.marks.watchers.len();
        self.marks.create(watching(MARK, b"", revision, false), 0, &self.leases).await;
        let journal = &self.journal.watchers[0].events;
        let only_mark: Vec<_> = journal.last().cloned().into_iter().collect();
        self.marks.settle(&only_mark, &self.leases).await?;
        let id = self.marks.watchers[number].id;
        self.marks.cancel(id, &self.leases).await;
        for (number, stream) in &mut self.streams {
            let settled = stream.settle(journal, &self.leases).await;
            settled.map_err(|missing| format!("stream {number}: {missing}"))?;
        }
        Ok(revision)
    }

    /// Reads what is left of each stream: answers to requests come in order.
    pub async fn finish(&mut self) {
        for stream in self.streams.values_mut() {
            stream.create(watching(MARK, b"", 0, false), 0, &self.leases).await;
        }
    }

    /// What every watcher saw, one line per event.
    pub fn watched(&self) -> String {
        let mut text = String::new();
        for (number, stream) in &self.streams {
            for watcher in &stream.watchers {
                text.push_str(&format!("stream {number} watcher {}\n", watcher.id));
                for event in watcher.comparable(self.events()) {
                    text.push_str(&format!("  {:?}\n", watcher.without_compacted(event)));
                }
                if let Some(end) = watcher.ended.first() {
                    text.push_str(&format!("  {end}\n"));
                }
            }
        }
        text
    }

    /// Every event with its key's previous state, one line each.
    pub fn journal(&self) -> String {
        self.events().iter().map(|event| format!("{event:?}\n")).collect()
    }
}

fn mark() -> pb::PutRequest {
    pb::PutRequest { key: Bytes::from_static(MARK), ..Default::default() }
}

fn watching(
    key: &'static [u8],
    range_end: &'static [u8],
    start_revision: i64,
    prev_kv: bool,
) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: Bytes::from_static(key),
        range_end: Bytes::from_static(range_end),
        start_revision,
        prev_kv,
        ..Default::default()
    }
}
