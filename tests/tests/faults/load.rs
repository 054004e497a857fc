//! Clients that write and read all the time and note what came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_tests::{
    Client, Cluster, History, Operation, Outcome, eventually, eventually_within, pb,
};
use tokio::task::JoinHandle;

/// How long a client waits for one answer before it calls the outcome unknown.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// Keys each client writes in turn: few, so that reads meet many versions.
const KEYS: usize = 5;
/// Upper bound of one client's history.
const OPERATIONS_MAX: usize = 200_000;

/// A running load on all members of a cluster.
pub struct Load {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Operation>>>,
}

impl Load {
    /// Starts `per_member` clients on each member.
    pub fn start(cluster: &Cluster, per_member: usize) -> Self {
        Self::on(cluster.clients(), per_member)
    }

    /// Starts `per_member` clients on each of the given connections.
    pub fn on(connections: Vec<Client>, per_member: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let mut clients = Vec::new();
        for connection in connections {
            for _ in 0..per_member {
                let client = connection.with_timeout(ANSWER_TIMEOUT);
                let number = clients.len();
                clients.push(tokio::spawn(work(
                    number,
                    client,
                    stop.clone(),
                    acknowledged.clone(),
                )));
            }
        }
        Self { stop, acknowledged, clients }
    }

    /// Waits until `count` more writes were acknowledged, from now on.
    pub async fn more_acknowledged(&self, count: usize, within: Duration) {
        let goal = self.acknowledged.load(Ordering::Relaxed) + count;
        eventually_within(within, &format!("{count} more writes are acknowledged"), async || {
            (self.acknowledged.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Ends the load and gives what happened.
    pub async fn stop(self) -> History {
        self.stop.store(true, Ordering::Relaxed);
        let mut history = History::default();
        for client in self.clients {
            history.extend(client.await.expect("a client does not panic"));
        }
        history
    }
}

async fn work(
    number: usize,
    client: Client,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicUsize>,
) -> Vec<Operation> {
    let mut seen = Vec::new();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) && seen.len() < OPERATIONS_MAX {
        let key = format!("load/{}", (number + round) % KEYS);
        let began = Instant::now();
        let outcome = if round % 3 == 2 {
            read(&client, key).await
        } else {
            Some(write(&client, key, format!("{number}-{round}")).await)
        };
        round += 1;
        match &outcome {
            Some(Outcome::Written { .. }) => {
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            // A dead member refuses at once: give others the processor.
            Some(Outcome::Unknown { .. }) | None => {
                tokio::time::sleep(Duration::from_millis(20)).await
            }
            Some(Outcome::Read { .. }) => {}
        }
        if let Some(outcome) = outcome {
            seen.push(Operation { client: number, began, ended: Instant::now(), outcome });
        }
    }
    seen
}

async fn write(client: &Client, key: String, value: String) -> Outcome {
    let request = pb::PutRequest {
        key: key.clone().into(),
        value: value.clone().into(),
        ..Default::default()
    };
    match client.put(request).await {
        Ok(answer) => {
            let revision = answer.header.expect("a header").revision;
            Outcome::Written { key, value, revision }
        }
        Err(_) => Outcome::Unknown { key, value },
    }
}

/// A read without an answer says nothing.
async fn read(client: &Client, key: String) -> Option<Outcome> {
    let request = pb::RangeRequest { key: key.clone().into(), ..Default::default() };
    let answer = client.range(request).await.ok()?;
    let found = answer
        .kvs
        .first()
        .map(|kv| (String::from_utf8_lossy(&kv.value).into_owned(), kv.mod_revision));
    Some(Outcome::Read { key, found, revision: answer.header.expect("a header").revision })
}

/// The verdict: nothing acknowledged is lost on any member, one order explains all, hashes agree.
pub async fn judge(cluster: &Cluster, history: &History) {
    let running: Vec<Client> = cluster
        .members
        .iter()
        .filter(|member| member.pid().is_some())
        .map(quorate_tests::Member::client)
        .collect();
    for client in &running {
        for (key, (value, revision)) in history.last_acknowledged() {
            let request = pb::RangeRequest { key: key.clone().into(), ..Default::default() };
            let answer = client.range(request).await.expect("a healthy cluster answers");
            let kv = answer.kvs.first().unwrap_or_else(|| panic!("{key} is lost"));
            let newer = kv.mod_revision > revision
                && history.may_have_written(&key, &String::from_utf8_lossy(&kv.value));
            let same = kv.mod_revision == revision && kv.value == value.as_bytes();
            assert!(same || newer, "{key}: {value} of {revision} was acknowledged, now {kv:?}");
        }
    }
    every_acknowledged_write_is_in_the_history(&running[0], history).await;
    for verdict in [history.check(), history.values_keep_their_revision()] {
        if let Err(violation) = verdict {
            panic!("not linearizable: {violation}");
        }
    }
    hashes_agree(&running).await;
}

/// Nothing is compacted here, so the store still knows each single write: replay them all.
async fn every_acknowledged_write_is_in_the_history(client: &Client, history: &History) {
    let mut stored = std::collections::HashMap::new();
    let mut stream = client.watch().await.expect("a watch stream");
    let last = client
        .range(pb::RangeRequest { key: "load/0".into(), ..Default::default() })
        .await
        .expect("a healthy cluster answers")
        .header
        .expect("a header")
        .revision;
    // The marker ends the replay.
    let marker = pb::PutRequest { key: "load/end".into(), ..Default::default() };
    client.put(marker).await.expect("a healthy cluster takes a write");
    let create = pb::WatchCreateRequest {
        key: "load/".into(),
        range_end: "load0".into(),
        start_revision: 1,
        ..Default::default()
    };
    stream.send(pb::WatchRequest { ask: Some(pb::WatchAsk::Create(create)) }).await;
    let mut previous = 0;
    'replay: loop {
        let response = stream.expect().await;
        assert!(!response.canceled, "{response:?}");
        for event in response.events {
            let kv = event.kv.expect("an event has a kv");
            assert!(kv.mod_revision > previous, "a watch goes forward: {previous}, {kv:?}");
            previous = kv.mod_revision;
            if kv.key == "load/end" {
                break 'replay;
            }
            stored.insert(kv.mod_revision, (kv.key, kv.value));
        }
    }
    assert!(previous > last);
    for (revision, key, value) in history.acknowledged_writes() {
        let (stored_key, stored_value) = stored
            .get(&revision)
            .unwrap_or_else(|| panic!("revision {revision} is lost: {key}={value}"));
        assert_eq!((stored_key, stored_value), (&key.into(), &value.into()), "revision {revision}");
    }
}

/// HashKV is the same everywhere, at a revision everybody has.
pub async fn hashes_agree(members: &[Client]) {
    let range = pb::RangeRequest { key: "any".into(), ..Default::default() };
    let now = members[0].range(range).await.expect("a healthy cluster answers");
    let revision = now.header.expect("a header").revision;
    let mut hashes = Vec::new();
    for member in members {
        // A follower may still have to apply what the revision names.
        let answer = eventually("the member has the revision", async || {
            let member = member.with_timeout(Duration::from_secs(5));
            member.hash_kv(pb::HashKvRequest { revision }).await.ok()
        })
        .await;
        hashes.push((answer.hash, answer.compact_revision));
    }
    assert!(
        hashes.iter().all(|hash| *hash == hashes[0]),
        "HashKV at {revision} differs: {hashes:?}"
    );
}
