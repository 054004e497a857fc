//! A big store: loading it, what it takes, a snapshot of it, a restart on it. One member only.

use std::fs::File;
use std::io::BufWriter;
use std::thread::sleep;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::compare::bars::{Bar, Better};
use crate::compare::cases;
use crate::compare::client;
use crate::compare::cluster::Cluster;
use crate::compare::footprint::{MB, REST, Values};
use crate::compare::options::Bench;
use crate::compare::outcome::Outcome;
use crate::compare::rounds::load_keys;
use crate::compare::server::Server;

const MEMORY: Option<Bar> = Some(Bar::new(0.7, 0.5));
const SNAPSHOT: Option<Bar> = Some(Bar::new(1.0, 0.5));
const RESTART: Option<Bar> = Some(Bar::new(0.7, 0.7));

#[derive(Default)]
struct Figures {
    keys_per_s: Values,
    memory_mb: Values,
    disk_mb: Values,
    snapshot_s: Values,
    snapshot_mb: Values,
    restart_ms: Values,
    memory_after_restart_mb: Values,
}

/// Loads, snapshots and restarts each server once per repeat.
///
/// # Errors
/// When a server loses keys or does not come up again.
pub fn run(bench: &Bench, members: usize, outcome: &mut Outcome) -> Result<()> {
    if members != 1 || !bench.options.wants("million") {
        return Ok(());
    }
    let mut figures = Figures::default();
    for _ in 0..bench.options.repeats() {
        for server in &bench.servers {
            one(bench, server, &mut figures)?;
        }
    }
    let case = format!("{} keys", bench.options.million_keys);
    outcome.add_as(Better::Higher, 1, &case, "load, keys/s", figures.keys_per_s, None);
    let mut add = |measure, values, bar| outcome.add(1, &case, measure, values, bar);
    add("memory MB", figures.memory_mb, MEMORY);
    add("disk MB", figures.disk_mb, None);
    add("snapshot to a file, s", figures.snapshot_s, SNAPSHOT);
    add("snapshot, MB", figures.snapshot_mb, None);
    add("restart to healthy, ms", figures.restart_ms, RESTART);
    add("memory after restart, MB", figures.memory_after_restart_mb, MEMORY);
    Ok(())
}

fn one(bench: &Bench, server: &Server, figures: &mut Figures) -> Result<()> {
    let (kind, keys) = (server.kind, bench.options.million_keys);
    bench.say(format!("{}: {keys} keys", kind.label()));
    let push = |values: &mut Values, value: f64| values.entry(kind).or_default().push(value);

    let (mut cluster, _) = Cluster::start(bench, server, 1)?;
    let report = load_keys(&cluster, &cases::bulk(cluster.endpoints()?, keys))?;
    push(&mut figures.keys_per_s, report.ops_per_s);
    sleep(REST);
    push(&mut figures.memory_mb, cluster.memory()?.resident_bytes as f64 / MB);
    push(&mut figures.disk_mb, cluster.disk_bytes()? as f64 / MB);

    bench.say(format!("{}: snapshot of {keys} keys", kind.label()));
    match snapshot(bench, &cluster) {
        Ok((seconds, bytes)) => {
            push(&mut figures.snapshot_s, seconds);
            push(&mut figures.snapshot_mb, bytes as f64 / MB);
        }
        // A server may be without the call; its other figures count all the same.
        Err(error) => bench.say(format!("{}: no snapshot: {error:#}", kind.label())),
    }

    bench.say(format!("{}: restart on {keys} keys", kind.label()));
    cluster.stop_members()?;
    let restart = cluster.start_members()?;
    push(&mut figures.restart_ms, restart.as_secs_f64() * 1e3);
    sleep(REST);
    push(&mut figures.memory_after_restart_mb, cluster.memory()?.resident_bytes as f64 / MB);
    Ok(())
}

/// Seconds and bytes of a snapshot, written to a file and synced.
fn snapshot(bench: &Bench, cluster: &Cluster) -> Result<(f64, u64)> {
    let path = bench.directory.path().join("snapshot");
    let endpoint = &cluster.endpoints()?[0];
    let started = Instant::now();
    let mut file = BufWriter::new(File::create(&path)?);
    let bytes = client::snapshot(endpoint, &mut file)?;
    file.into_inner().map_err(|error| error.into_error())?.sync_all()?;
    let seconds = started.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    ensure!(bytes > 0, "{} sent an empty snapshot", cluster.server.kind.label());
    Ok((seconds, bytes))
}
