//! What the watchers of one stream have been told.

use std::time::Duration;

use quorate_tests::{Client, Duplex, pb};

use crate::leases::Leases;
use crate::plain::Plain;

/// How long anything may take that must come; only a failing run waits for it.
const PATIENCE: Duration = Duration::from_secs(8);

/// One watcher.
#[derive(Debug)]
pub struct Watcher {
    pub id: i64,
    pub request: pb::WatchCreateRequest,
    /// Events from this revision on are its.
    pub start: i64,
    /// What was compacted when it was created.
    pub compacted: i64,
    pub events: Vec<pb::Event>,
    /// Cancellations, in the order they came; etcd repeats that of a compacted start when the
    /// client cancels it.
    pub ended: Vec<String>,
}

impl Watcher {
    /// The events of the journal that it must get.
    fn due<'a>(&self, journal: &'a [pb::Event]) -> impl Iterator<Item = &'a pb::Event> {
        let wanted = journal.iter().filter(|event| self.wants(event));
        wanted.filter(|event| self.is_comparable(event, journal))
    }

    /// Those of its events that can be compared.
    pub fn comparable(&self, journal: &[pb::Event]) -> impl Iterator<Item = &pb::Event> {
        self.events.iter().filter(|event| self.is_comparable(event, journal))
    }

    /// The previous version of an event at exactly the compacted revision is compacted: etcd never
    /// tells it, ours does as long as it has it in memory.
    pub fn without_compacted(&self, event: &pb::Event) -> pb::Event {
        let mut event = event.clone();
        if key_and_revision(&event).1 == self.compacted {
            event.prev_kv = None;
        }
        event
    }

    fn wants(&self, event: &pb::Event) -> bool {
        let (key, revision) = key_and_revision(event);
        revision >= self.start
            && !self.request.filters.contains(&event.r#type)
            && contains(&self.request, key)
    }

    /// A deletion at exactly the compacted revision is kept since 3.4.34 and 3.5.16; earlier
    /// releases drop it at a time of their choosing. A put that such a deletion followed in the
    /// same revision is dropped by all.
    fn is_comparable(&self, event: &pb::Event, journal: &[pb::Event]) -> bool {
        let at = key_and_revision(event);
        let is_deleted = || journal.iter().any(|e| e.r#type == 1 && key_and_revision(e) == at);
        at.1 != self.compacted || !is_deleted()
    }

    fn must_end(&self) -> bool {
        self.start < self.compacted
    }
}

/// A watch stream on a connection of its own, so that nobody waits for who does not read.
#[derive(Debug)]
pub struct Stream {
    duplex: Duplex<pb::WatchRequest, pb::WatchResponse>,
    /// In order of creation; ids may be used again.
    pub watchers: Vec<Watcher>,
}

impl Stream {
    pub async fn open(client: &Client) -> Self {
        let duplex = client.watch().await.expect("a watch stream opens");
        Self { duplex, watchers: Vec::new() }
    }

    /// Creates a watcher; gives the answer for comparison.
    pub async fn create(
        &mut self,
        request: pb::WatchCreateRequest,
        compacted: i64,
        leases: &Leases,
    ) -> String {
        let ask = pb::WatchAsk::Create(request.clone());
        self.duplex.send(pb::WatchRequest { ask: Some(ask) }).await;
        loop {
            let Some(mut response) = self.message(leases).await else {
                return "no answer".to_owned();
            };
            if !response.created {
                self.take(response);
                continue;
            }
            response.plain(leases);
            let answer = format!("{response:?}");
            if response.canceled {
                return answer;
            }
            let revision = response.header.as_ref().map_or(0, |header| header.revision);
            let start = match request.start_revision {
                0 => revision + 1,
                start => start,
            };
            let (id, events, ended) = (response.watch_id, Vec::new(), Vec::new());
            let watcher = Watcher { id, request, start, compacted, events, ended };
            let ends = watcher.must_end();
            self.watchers.push(watcher);
            return if ends { format!("{answer}, {}", self.end(leases).await) } else { answer };
        }
    }

    /// Reads the cancellation of the newest watcher, which starts too early, and makes sure that
    /// its id is free: with etcd it is taken until the client cancels too.
    async fn end(&mut self, leases: &Leases) -> String {
        let index = self.watchers.len() - 1;
        let id = self.watchers[index].id;
        let ended = self.ending(index, leases).await;
        self.cancel(id, leases).await;
        ended
    }

    /// Cancels a watcher; waits for the answer if one is due and gives it.
    pub async fn cancel(&mut self, watch_id: i64, leases: &Leases) -> String {
        let ask = pb::WatchAsk::Cancel(pb::WatchCancelRequest { watch_id });
        self.duplex.send(pb::WatchRequest { ask: Some(ask) }).await;
        let Some(index) = self.newest(watch_id) else {
            return "unknown".to_owned();
        };
        if !self.watchers[index].ended.is_empty() {
            return "ended before".to_owned();
        }
        self.ending(index, leases).await
    }

    /// The first cancellation of a watcher.
    async fn ending(&mut self, index: usize, leases: &Leases) -> String {
        while self.watchers[index].ended.is_empty() {
            match self.message(leases).await {
                Some(response) => self.take(response),
                None => return "no answer".to_owned(),
            }
        }
        self.watchers[index].ended[0].clone()
    }

    /// Reads until every watcher has what `journal` holds for it. `Err` says what is missing.
    pub async fn settle(&mut self, journal: &[pb::Event], leases: &Leases) -> Result<(), String> {
        while let Some((id, missing)) = self.missing(journal) {
            match self.message(leases).await {
                Some(response) => self.take(response),
                None => return Err(format!("watcher {id} has been waiting for {missing}")),
            }
        }
        Ok(())
    }

    /// Reads until an event of `revision` has come to the first watcher.
    pub async fn reach(&mut self, revision: i64, leases: &Leases) -> Result<(), String> {
        loop {
            let newest = self.watchers[0].events.last();
            if newest.is_some_and(|event| key_and_revision(event).1 >= revision) {
                return Ok(());
            }
            match self.message(leases).await {
                Some(response) => self.take(response),
                None => return Err(format!("revision {revision} has not been seen")),
            }
        }
    }

    fn missing(&self, journal: &[pb::Event]) -> Option<(i64, String)> {
        self.watchers.iter().filter(|watcher| watcher.ended.is_empty()).find_map(|watcher| {
            if watcher.must_end() {
                return Some((watcher.id, "its cancellation".to_owned()));
            }
            let seen = watcher.comparable(journal).count();
            watcher.due(journal).nth(seen).map(|event| (watcher.id, format!("{event:?}")))
        })
    }

    async fn message(&mut self, leases: &Leases) -> Option<pb::WatchResponse> {
        let mut response = self.duplex.next_within(PATIENCE).await?.ok().flatten()?;
        response.plain(leases);
        Some(response)
    }

    /// Progress and messages of nobody are left out: when they come is the server's business.
    fn take(&mut self, response: pb::WatchResponse) {
        let Some(index) = self.newest(response.watch_id) else { return };
        let watcher = &mut self.watchers[index];
        if response.canceled {
            watcher.ended.push(format!("{response:?}"));
            return;
        }
        let newest = watcher.events.last().map_or(0, |event| key_and_revision(event).1);
        for event in response.events {
            let revision = key_and_revision(&event).1;
            assert!(revision > newest, "revision {revision} came in parts or out of order");
            watcher.events.push(event);
        }
    }

    fn newest(&self, watch_id: i64) -> Option<usize> {
        self.watchers.iter().rposition(|watcher| watcher.id == watch_id)
    }
}

/// The key and the revision of an event.
pub fn key_and_revision(event: &pb::Event) -> (&[u8], i64) {
    let kv = event.kv.as_ref().expect("an event has a kv");
    (&kv.key, kv.mod_revision)
}

/// Whether a watcher's range holds `key`.
fn contains(request: &pb::WatchCreateRequest, key: &[u8]) -> bool {
    let start: &[u8] = if request.key.is_empty() { b"\0" } else { &request.key };
    match &*request.range_end {
        b"" => key == start,
        b"\0" => key >= start,
        end => start <= key && key < end,
    }
}
