//! A client of the store: requests that go to the next member when one does not answer.

use std::time::{Duration, Instant};

use quorate_tests::{Client, pb};
use tokio::runtime::{Builder, Runtime};
use tonic::Status;

/// How long one try of a request may take.
const TRY_MAX: Duration = Duration::from_secs(3);
/// How long a request is tried again at other members.
const TRIES_MAX: Duration = Duration::from_secs(20);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// A client that goes to the next member when one does not answer.
pub struct Store {
    runtime: Runtime,
    clients: Vec<Client>,
}

impl Store {
    /// A client of the members at these URLs.
    pub fn new(urls: &[String]) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = |url: &String| {
            let _context = runtime.enter();
            Client::new(url).with_timeout(TRY_MAX)
        };
        let clients = urls.iter().map(client).collect();
        Self { runtime, clients }
    }

    /// Writes; gives the revision. Panics when no member takes it for 20 s.
    pub fn put(&self, key: &str, value: &str) -> i64 {
        let request = pb::PutRequest {
            key: key.as_bytes().to_vec().into(),
            value: value.as_bytes().to_vec().into(),
            ..Default::default()
        };
        let put = |client: &Client| {
            let answer = self.runtime.block_on(client.put(request.clone()));
            answer.map(|answer| answer.header.map_or(0, |header| header.revision))
        };
        self.any(&format!("put {key}"), put)
    }

    /// A linearizable read. Panics when no member answers for 20 s.
    pub fn get(&self, key: &str) -> Option<String> {
        self.any(&format!("get {key}"), |client| self.get_from(client, key))
    }

    /// A linearizable read at every member: what each of them found.
    pub fn get_everywhere(&self, key: &str) -> Vec<Option<String>> {
        let read = |client| retried(&format!("get {key}"), || self.get_from(client, key));
        self.clients.iter().map(read).collect()
    }

    fn get_from(&self, client: &Client, key: &str) -> Result<Option<String>, Status> {
        let request =
            pb::RangeRequest { key: key.as_bytes().to_vec().into(), ..Default::default() };
        let answer = self.runtime.block_on(client.range(request))?;
        let value = |kv: &pb::KeyValue| String::from_utf8_lossy(&kv.value).into_owned();
        Ok(answer.kvs.first().map(value))
    }

    fn any<T>(&self, what: &str, ask: impl Fn(&Client) -> Result<T, Status>) -> T {
        let mut next = self.clients.iter().cycle();
        retried(what, || ask(next.next().expect("a store has members")))
    }
}

fn retried<T>(what: &str, mut ask: impl FnMut() -> Result<T, Status>) -> T {
    let until = Instant::now() + TRIES_MAX;
    loop {
        match ask() {
            Ok(value) => return value,
            Err(error) => {
                let s = TRIES_MAX.as_secs();
                assert!(Instant::now() < until, "{what}: not within {s} s: {error}");
            }
        }
        std::thread::sleep(PAUSE);
    }
}
