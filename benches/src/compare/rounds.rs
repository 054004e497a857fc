//! The cases of load: all servers in turns, round by round.

use anyhow::{Result, anyhow, ensure};

use crate::compare::bars::Better;
use crate::compare::cases::{self, Spec};
use crate::compare::cluster::Cluster;
use crate::compare::figure::Figure;
use crate::compare::options::Bench;
use crate::compare::outcome::{CaseOutcome, Outcome, Turn};
use crate::load::{self, Edge, Workload};
use crate::process::Usage;

/// Measures every case that was asked for with clusters of this size.
///
/// # Errors
/// When a cluster does not start or a turn cannot be made.
pub fn run(bench: &Bench, members: usize, outcome: &mut Outcome) -> Result<()> {
    let specs: Vec<_> = cases::selected(&bench.options).collect();
    if specs.is_empty() {
        return Ok(());
    }
    let clusters = start(bench, members)?;
    let mut measured: Vec<_> = specs.iter().map(|spec| empty(spec, members)).collect();
    for round in 0..bench.options.rounds {
        for (spec, measured) in specs.iter().zip(&mut measured) {
            // Another one begins each round, so that nobody always comes first.
            for index in 0..clusters.len() {
                let cluster = &clusters[(round + index) % clusters.len()];
                let kind = cluster.server.kind;
                bench.say(format!("{members} x {}: {}", kind.label(), spec.label));
                let turn = turn(bench, cluster, spec)?;
                measured.turns.entry(kind).or_default().push(turn);
                bench.progress.inc(1);
            }
        }
    }
    for (spec, measured) in specs.into_iter().zip(measured) {
        outcome.figures.extend(figures(spec, &measured));
        outcome.cases.push(measured);
    }
    Ok(())
}

/// All clusters, loaded and stopped.
fn start(bench: &Bench, members: usize) -> Result<Vec<Cluster>> {
    let mut clusters = Vec::new();
    for server in &bench.servers {
        bench.say(format!("{members} x {}: starting, loading keys", server.kind.label()));
        let (cluster, _) = Cluster::start(bench, server, members)?;
        load_keys(&cluster, &cases::bulk(cluster.endpoints()?, bench.options.keys))?;
        cluster.pause();
        clusters.push(cluster);
    }
    Ok(clusters)
}

/// Runs a load of which every operation must succeed.
///
/// # Errors
/// When one did not.
pub fn load_keys(cluster: &Cluster, workload: &Workload) -> Result<load::Report> {
    let report = load::run(workload, &mut |_| {})?;
    let (label, expected) = (cluster.server.kind.label(), workload.keyspace.count);
    ensure!(
        report.operations == expected,
        "{label} took {} of {expected} keys: {:?}",
        report.operations,
        report.error_texts
    );
    Ok(report)
}

fn turn(bench: &Bench, cluster: &Cluster, spec: &Spec) -> Result<Turn> {
    cluster.resume()?;
    let workload = spec.workload(&bench.options, cluster.endpoints()?);
    let (report, used) = measure(cluster, &workload)?;
    cluster.pause();
    let label = cluster.server.kind.label();
    ensure!(report.operations > 0, "{label}: {}: {:?}", spec.label, report.error_texts);
    Ok(Turn { cpu_us_per_op: used.cpu.as_secs_f64() * 1e6 / report.operations as f64, report })
}

/// Makes the load and says what the servers used inside the window.
///
/// # Errors
/// When the load cannot be made or a member ended.
pub fn measure(cluster: &Cluster, workload: &Workload) -> Result<(load::Report, Usage)> {
    let mut at: [Result<Usage>; 2] = [Err(anyhow!("no window")), Err(anyhow!("no window"))];
    let report = load::run(workload, &mut |edge| match edge {
        Edge::Start => at[0] = cluster.usage(),
        Edge::End => at[1] = cluster.usage(),
    })?;
    let [before, after] = at;
    Ok((report, after? - before?))
}

fn empty(spec: &Spec, members: usize) -> CaseOutcome {
    CaseOutcome { members, label: spec.label, turns: Default::default() }
}

fn figures(spec: &Spec, measured: &CaseOutcome) -> [Figure; 4] {
    type Measure = fn(&Turn) -> f64;
    let figure = |measure, better, of: Measure, bar| Figure {
        members: measured.members,
        case: measured.label.to_owned(),
        measure,
        better,
        values: measured.medians(of),
        bar,
    };
    [
        figure("server CPU us/op", Better::Lower, |turn| turn.cpu_us_per_op, spec.cpu),
        figure("ops/s", Better::Higher, |turn| turn.report.ops_per_s, spec.throughput),
        figure("p50 us", Better::Lower, |turn| turn.report.p50_us, spec.p50),
        figure("p99 us", Better::Lower, |turn| turn.report.p99_us, spec.p99),
    ]
}
