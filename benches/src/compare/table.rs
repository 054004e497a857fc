//! The outcome as markdown, in the shape of `docs/performance.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::compare::figure::Figure;
use crate::compare::outcome::{CaseOutcome, Outcome, Turn};
use crate::compare::server::ServerKind;

/// Both tables: the cases as measured, and every figure with its ratio.
pub fn markdown(outcome: &Outcome) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_head(&mut text, outcome);
    let _ = write_cases(&mut text, outcome);
    let _ = write_figures(&mut text, outcome);
    text
}

fn write_head(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let machine = &outcome.machine;
    writeln!(
        text,
        "{} cores ({}), Linux {}, fdatasync of a 4 KiB append p50 {:.0} us; {} rounds of {} s in \
         turns; medians.\n",
        machine.cores,
        machine.processor,
        machine.kernel,
        machine.sync_us,
        outcome.rounds,
        outcome.seconds
    )?;
    for (kind, version) in &outcome.servers {
        writeln!(text, "- {}: {version}", kind.label())?;
    }
    Ok(())
}

fn write_cases(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    if outcome.cases.is_empty() {
        return Ok(());
    }
    let labels: Vec<_> = outcome.servers.keys().map(|kind| kind.label()).collect();
    let columns = "| members | case | ops/s | p50 us | p99 us | p99.9 us | server CPU us per op | \
                   errors |";
    writeln!(text, "\nEach cell: {}.\n\n{columns}", labels.join(" / "))?;
    writeln!(text, "|---|---|---|---|---|---|---|---|")?;
    for case in &outcome.cases {
        let cell = |measure: fn(&Turn) -> f64| join(outcome, &case.medians(measure));
        writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            case.members,
            case.label,
            cell(|turn| turn.report.ops_per_s),
            cell(|turn| turn.report.p50_us),
            cell(|turn| turn.report.p99_us),
            cell(|turn| turn.report.p999_us),
            cell(|turn| turn.cpu_us_per_op),
            join(outcome, &errors(case)),
        )?;
    }
    Ok(())
}

/// Errors are added up, not averaged: one is worth a look.
fn errors(case: &CaseOutcome) -> BTreeMap<ServerKind, f64> {
    let total = |turns: &[Turn]| turns.iter().map(|turn| turn.report.errors_total()).sum::<u64>();
    case.turns.iter().map(|(&kind, turns)| (kind, total(turns) as f64)).collect()
}

fn join(outcome: &Outcome, values: &BTreeMap<ServerKind, f64>) -> String {
    let cells = outcome.servers.keys().map(|kind| cell(values.get(kind).copied()));
    cells.collect::<Vec<_>>().join(" / ")
}

fn write_figures(text: &mut String, outcome: &Outcome) -> std::fmt::Result {
    let labels: Vec<_> = outcome.servers.keys().map(|kind| kind.label()).collect();
    writeln!(
        text,
        "\n| members | case | measure | {} | best etcd | ratio | bar | goal | pass |",
        labels.join(" | ")
    )?;
    writeln!(text, "|---|---|---|{}---|---|---|---|---|", "---|".repeat(labels.len()))?;
    for figure in &outcome.figures {
        writeln!(text, "{}", line(figure, outcome.servers.keys()))?;
    }
    Ok(())
}

fn line<'a>(figure: &Figure, kinds: impl Iterator<Item = &'a ServerKind>) -> String {
    let values = kinds.map(|kind| cell(figure.values.get(kind).copied()));
    let ratio = figure.ratio().map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    let (bar, goal) = match figure.bar {
        Some(bar) => (bar.first.to_string(), bar.goal.to_string()),
        None => ("-".to_owned(), "-".to_owned()),
    };
    let pass = match figure.verdict() {
        Some((_, true)) => "goal",
        Some((true, false)) => "yes",
        Some((false, false)) => "**no**",
        None => "-",
    };
    format!(
        "| {} | {} | {} | {} | {} | {ratio} | {bar} | {goal} | {pass} |",
        figure.members,
        figure.case,
        figure.measure,
        values.collect::<Vec<_>>().join(" | "),
        cell(figure.best_etcd()),
    )
}

/// Three digits, thousands apart; a dash for what was not measured.
fn cell(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value < 10.0 => trimmed(format!("{value:.2}")),
        Some(value) if value < 100.0 => trimmed(format!("{value:.1}")),
        Some(value) => thousands(value.round() as u64),
    }
}

fn trimmed(digits: String) -> String {
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(value: u64) -> String {
    match value / 1000 {
        0 => value.to_string(),
        rest => format!("{},{:03}", thousands(rest), value % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::bars::{Bar, Better};

    #[test]
    fn numbers_are_short_and_readable() {
        let cells = [0.0, 1.0, 5.804, 42.84, 263.4, 28_591.2, 1_033_174.0].map(|v| cell(Some(v)));
        assert_eq!(cells, ["0", "1", "5.8", "42.8", "263", "28,591", "1,033,174"]);
        assert_eq!(cell(None), "-");
    }

    #[test]
    fn a_line_tells_ratio_bar_and_verdict() {
        let kinds = [ServerKind::Ours, ServerKind::Etcd34, ServerKind::Etcd35];
        let mut figure = Figure {
            members: 1,
            case: "put".into(),
            measure: "server CPU us/op",
            better: Better::Lower,
            values: kinds.into_iter().zip([25.0, 42.8, 48.7]).collect(),
            bar: Some(Bar::new(0.6, 0.4)),
        };
        assert_eq!(
            line(&figure, kinds.iter()),
            "| 1 | put | server CPU us/op | 25 | 42.8 | 48.7 | 42.8 | 0.58 | 0.6 | 0.4 | yes |"
        );
        figure.values.insert(ServerKind::Ours, 30.0);
        assert!(line(&figure, kinds.iter()).ends_with("| 0.70 | 0.6 | 0.4 | **no** |"));
        figure.values.remove(&ServerKind::Ours);
        assert!(line(&figure, kinds.iter()).ends_with("| - | 0.6 | 0.4 | - |"));
    }
}
