//! Everything a run of `compare` found out.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::compare::bars::{Bar, Better, median};
use crate::compare::figure::Figure;
use crate::compare::machine::Machine;
use crate::compare::options::Bench;
use crate::compare::server::ServerKind;
use crate::load::Report;

/// One turn of one server.
#[derive(Clone, Debug, Serialize)]
pub struct Turn {
    /// What the generator saw.
    pub report: Report,
    /// Server CPU per operation, microseconds, all members.
    pub cpu_us_per_op: f64,
}

/// A case of load of one cluster size: all turns, in order.
#[derive(Clone, Debug, Serialize)]
pub struct CaseOutcome {
    /// Cluster size.
    pub members: usize,
    /// As in the table.
    pub label: &'static str,
    /// By server.
    pub turns: BTreeMap<ServerKind, Vec<Turn>>,
}

impl CaseOutcome {
    /// The median over the turns of each server.
    pub fn medians(&self, measure: impl Fn(&Turn) -> f64) -> BTreeMap<ServerKind, f64> {
        let turns = self.turns.iter();
        turns.map(|(&kind, turns)| (kind, median(turns.iter().map(&measure).collect()))).collect()
    }
}

/// The whole run.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Where.
    pub machine: Machine,
    /// Who, and which version.
    pub servers: BTreeMap<ServerKind, String>,
    /// Turns per case.
    pub rounds: usize,
    /// Length of a turn.
    pub seconds: f64,
    /// Cases of load.
    pub cases: Vec<CaseOutcome>,
    /// All figures that are compared, those of the cases included.
    pub figures: Vec<Figure>,
}

impl Outcome {
    /// Nothing measured yet.
    ///
    /// # Errors
    /// When the machine cannot be described.
    pub fn new(bench: &Bench) -> Result<Self> {
        let servers = bench.servers.iter();
        Ok(Self {
            machine: Machine::describe(bench.directory.path())?,
            servers: servers.map(|server| (server.kind, server.version.clone())).collect(),
            rounds: bench.options.rounds,
            seconds: bench.options.seconds,
            cases: Vec::new(),
            figures: Vec::new(),
        })
    }

    /// Adds a figure of which less is better; medians of what was measured.
    pub fn add(
        &mut self,
        members: usize,
        case: &str,
        measure: &'static str,
        values: BTreeMap<ServerKind, Vec<f64>>,
        bar: Option<Bar>,
    ) {
        self.add_as(Better::Lower, members, case, measure, values, bar);
    }

    /// Adds a figure.
    pub fn add_as(
        &mut self,
        better: Better,
        members: usize,
        case: &str,
        measure: &'static str,
        values: BTreeMap<ServerKind, Vec<f64>>,
        bar: Option<Bar>,
    ) {
        let values = values.into_iter().map(|(kind, values)| (kind, median(values))).collect();
        self.figures.push(Figure { members, case: case.to_owned(), measure, better, values, bar });
    }
}
