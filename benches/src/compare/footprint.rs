//! What a server takes besides requests: time to start, memory, disk, idle processor time.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Result;

use crate::compare::bars::Bar;
use crate::compare::cases;
use crate::compare::cluster::Cluster;
use crate::compare::device;
use crate::compare::options::Bench;
use crate::compare::outcome::Outcome;
use crate::compare::rounds::measure;
use crate::compare::server::{Server, ServerKind};

/// After load, before memory is read: collectors get a chance.
pub const REST: Duration = Duration::from_secs(3);

/// Memory as people read it.
pub const MB: f64 = 1e6;

const MEMORY: Option<Bar> = Some(Bar::new(0.7, 0.5));
const NO_WORSE: Option<Bar> = Some(Bar::new(1.0, 1.0));

/// By server, one value per repeat.
pub type Values = BTreeMap<ServerKind, Vec<f64>>;

#[derive(Default)]
struct Figures {
    start_ms: Values,
    idle_mb: Values,
    idle_cpu_ms_per_s: Values,
    loaded_mb: Values,
    loaded_peak_mb: Values,
    written_bytes: Values,
    disk_mb: Values,
}

/// Measures fresh clusters of this size, one server after the other.
///
/// # Errors
/// When a cluster does not start or refuses puts.
pub fn run(bench: &Bench, members: usize, outcome: &mut Outcome) -> Result<()> {
    if !bench.options.wants("footprint") {
        return Ok(());
    }
    let mut figures = Figures::default();
    for _ in 0..bench.options.repeats() {
        for server in &bench.servers {
            one(bench, server, members, &mut figures)?;
        }
    }
    let mut add =
        |case: &str, measure, values, bar| outcome.add(members, case, measure, values, bar);
    add("start to healthy, empty", "ms", figures.start_ms, None);
    add("idle and empty", "memory MB", figures.idle_mb, MEMORY);
    add("idle and empty", "server CPU ms/s", figures.idle_cpu_ms_per_s, None);
    add("after all keys were put", "memory MB", figures.loaded_mb, MEMORY);
    add("after all keys were put", "peak memory MB", figures.loaded_peak_mb, None);
    add("after all keys were put", "disk MB", figures.disk_mb, None);
    add("each put", "bytes written", figures.written_bytes, NO_WORSE);
    Ok(())
}

fn one(bench: &Bench, server: &Server, members: usize, figures: &mut Figures) -> Result<()> {
    let kind = server.kind;
    bench.say(format!("{members} x {}: footprint", kind.label()));
    let push = |values: &mut Values, value: f64| values.entry(kind).or_default().push(value);

    let (cluster, start) = Cluster::start(bench, server, members)?;
    push(&mut figures.start_ms, start.as_secs_f64() * 1e3);
    sleep(REST);
    push(&mut figures.idle_mb, cluster.memory()?.resident_bytes as f64 / MB);
    let (before, idle) = (cluster.usage()?, bench.options.idle_seconds);
    sleep(Duration::from_secs_f64(idle));
    let used = cluster.usage()? - before;
    push(&mut figures.idle_cpu_ms_per_s, used.cpu.as_secs_f64() * 1e3 / idle);

    let workload = cases::puts(cluster.endpoints()?, bench.options.keys);
    let written = || device::written_bytes(bench.directory.path());
    let before = written()?;
    let (report, _) = measure(&cluster, &workload)?;
    if let (Some(before), Some(after)) = (before, written()?) {
        let each = (after - before) as f64 / report.operations.max(1) as f64;
        push(&mut figures.written_bytes, each);
    }
    sleep(REST);
    let memory = cluster.memory()?;
    push(&mut figures.loaded_mb, memory.resident_bytes as f64 / MB);
    push(&mut figures.loaded_peak_mb, memory.peak_bytes as f64 / MB);
    push(&mut figures.disk_mb, cluster.disk_bytes()? as f64 / MB);
    Ok(())
}
