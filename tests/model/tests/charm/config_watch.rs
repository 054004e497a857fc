//! Watches the services while they are restarted: how many are down at once, and who has the turn.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use model::Model;
use quorate_tests::{Client, pb};
use tokio::runtime::{Builder, Runtime};

use super::common::Etcd;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a member may take to say who has the turn.
const ASK_MAX: Duration = Duration::from_secs(1);
/// The key of the turn to restart.
const TURN: &[u8] = b"\0quorate/turn/restart";

/// A thread that looks until it is told to end.
pub struct Watch {
    must_end: Arc<AtomicBool>,
    thread: JoinHandle<Seen>,
}

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Services that were not ready at the same moment.
    pub most_down_at_once: usize,
    /// Main processes of each unit.
    pids: BTreeMap<String, BTreeSet<u32>>,
    /// Members that had the turn while a service was down.
    pub holders: BTreeSet<String>,
    /// Services that were down while another member had the turn.
    pub down_without_turn: Vec<String>,
}

impl Seen {
    /// How many main processes each unit had.
    pub fn pids_of(&self, etcd: &Etcd) -> BTreeMap<String, usize> {
        let count = |unit: &String| self.pids.get(unit).map_or(0, BTreeSet::len);
        etcd.units().into_iter().map(|unit| (unit.clone(), count(&unit))).collect()
    }
}

/// One unit's service and admin socket, reached without the model.
struct Place {
    unit: String,
    root: PathBuf,
}

impl Watch {
    /// Begins to look at all units there are.
    pub fn start(etcd: &Etcd) -> Self {
        let place = |unit: String| Place { root: etcd.model.root(&unit).unwrap(), unit };
        let places: Vec<Place> = etcd.units().into_iter().map(place).collect();
        let programs = etcd.model.root("etcd/0").unwrap().join("../bin");
        let must_end = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&must_end);
        let urls = etcd.client_urls();
        let thread = std::thread::spawn(move || {
            let mut seen = Seen::default();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            let context = runtime.enter();
            let clients: Vec<Client> =
                urls.iter().map(|url| Client::new(url).with_timeout(ASK_MAX)).collect();
            drop(context);
            while !end.load(Ordering::Relaxed) {
                look(&places, &programs, || holder(&runtime, &clients), &mut seen);
                std::thread::sleep(LOOK_EVERY);
            }
            seen
        });
        Self { must_end, thread }
    }

    /// Stops looking.
    pub fn end(self) -> Seen {
        self.must_end.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

fn look(
    places: &[Place],
    programs: &Path,
    holder: impl FnOnce() -> Option<String>,
    seen: &mut Seen,
) {
    let mut down = Vec::new();
    for place in places {
        match show(programs, place) {
            Some(pid) => drop(seen.pids.entry(place.unit.clone()).or_default().insert(pid)),
            None => down.push(place),
        }
    }
    // The first may be back by the time the last was looked at.
    if down.len() > 1 {
        down.retain(|place| show(programs, place).is_none());
    }
    seen.most_down_at_once = seen.most_down_at_once.max(down.len());
    let [place] = down[..] else { return };
    let Some(holder) = holder() else { return };
    // It may have come back, and the turn gone on, while the key was read.
    if show(programs, place).is_none() {
        if holder != place.unit.replace('/', "-") {
            seen.down_without_turn.push(format!("{} while {holder} had the turn", place.unit));
        }
        seen.holders.insert(holder);
    }
}

/// Main process of a service that is ready.
fn show(programs: &Path, place: &Place) -> Option<u32> {
    let service = format!("quorate-{}.service", place.unit.replace('/', "-"));
    let output = Command::new(programs.join("systemctl"))
        .env_clear()
        .env("QUORATE_CHARM_ROOT", &place.root)
        .args(["show", "-p", "ActiveState,MainPID", &service])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    let is_ready = value("ActiveState=").as_deref() == Some("active");
    value("MainPID=").filter(|_| is_ready)?.parse().ok()
}

/// Who has the turn to restart, as the first member that answers has it now.
fn holder(runtime: &Runtime, clients: &[Client]) -> Option<String> {
    let request = pb::RangeRequest { key: TURN.to_vec().into(), ..Default::default() };
    let read = |client: &Client| runtime.block_on(client.range(request.clone())).ok();
    let answer = clients.iter().find_map(read)?;
    answer.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
}

/// Main process of a unit's service, 0 without.
pub fn main_pid(model: &Model, unit: &str) -> u32 {
    let service = format!("quorate-{}.service", unit.replace('/', "-"));
    let shown = model.systemctl(unit, &["show", "-p", "MainPID", "--value", &service]);
    shown.ok().and_then(|(_, text)| text.trim().parse().ok()).unwrap_or(0)
}
