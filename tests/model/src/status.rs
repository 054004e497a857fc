//! What `juju status` shows.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::state::{State, Status, app_of};

/// The model at a glance.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModelStatus {
    /// Version of the Juju that is played.
    pub juju: String,
    /// By name.
    pub apps: BTreeMap<String, AppStatus>,
    /// By name.
    pub units: BTreeMap<String, UnitStatus>,
}

/// One application.
#[derive(Clone, Debug, serde::Serialize)]
pub struct AppStatus {
    /// What the leader has set, else the worst of its units.
    pub status: Status,
    /// What `application-version-set` has set.
    pub version: String,
    /// Name in metadata.yaml; empty for a consumer.
    pub charm: String,
    /// Counts up with every refresh.
    pub revision: u32,
    /// Units there are.
    pub units: usize,
}

/// One unit.
#[derive(Clone, Debug, serde::Serialize)]
pub struct UnitStatus {
    /// `error` with the hook's name while a hook fails, else what the hooks have set.
    pub status: Status,
    /// What the hooks have set, also while in error.
    pub workload: Status,
    /// The lease is here.
    pub is_leader: bool,
    /// Being removed.
    pub is_dying: bool,
    /// Its machine runs.
    pub is_up: bool,
    /// Number of its machine, none for a consumer.
    pub machine: Option<u32>,
    /// Address of its machine, empty for a consumer.
    pub address: String,
    /// Opened ports, such as `2379/tcp`.
    pub ports: Vec<String>,
}

/// Worst first (juju-surface 9.1).
const SEVERITY: &[&str] = &["error", "blocked", "maintenance", "waiting", "active", "unknown"];

impl ModelStatus {
    pub(crate) fn of(state: &State) -> Self {
        let units: BTreeMap<String, UnitStatus> =
            state.units.keys().map(|name| (name.clone(), unit(state, name))).collect();
        let apps = state.apps.iter().map(|(name, app)| {
            let status = AppStatus {
                status: app.status.clone().unwrap_or_else(|| worst(name, &units)),
                version: app.workload_version.clone(),
                charm: app.charm.as_ref().map(|charm| charm.name.clone()).unwrap_or_default(),
                revision: app.charm_revision,
                units: state.units_of(name).len(),
            };
            (name.clone(), status)
        });
        Self { juju: state.juju.to_string(), apps: apps.collect(), units }
    }

    /// The tables a person reads.
    pub fn to_text(&self) -> String {
        let mut apps = vec![
            ["App", "Version", "Status", "Scale", "Charm", "Rev", "Message"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (name, app) in &self.apps {
            let scale = app.units.to_string();
            apps.push(vec![
                name.clone(),
                app.version.clone(),
                app.status.status.clone(),
                scale,
                app.charm.clone(),
                app.revision.to_string(),
                app.status.message.clone(),
            ]);
        }
        let mut units = vec![
            ["Unit", "Workload", "Agent", "Machine", "Public address", "Ports", "Message"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (name, unit) in &self.units {
            let star = if unit.is_leader { "*" } else { "" };
            let agent = match (unit.is_up, unit.is_dying) {
                (false, _) => "lost",
                (true, true) => "removing",
                (true, false) => "idle",
            };
            let row = [
                format!("{name}{star}"),
                unit.status.status.clone(),
                agent.into(),
                unit.machine.map_or_else(String::new, |machine| machine.to_string()),
                unit.address.clone(),
                unit.ports.join(","),
                unit.status.message.clone(),
            ];
            units.push(row.to_vec());
        }
        format!(
            "Model {}  Juju {}\n\n{}\n{}",
            crate::run::MODEL_NAME,
            self.juju,
            table(&apps),
            table(&units)
        )
    }
}

fn unit(state: &State, name: &str) -> UnitStatus {
    let unit = &state.units[name];
    let machine = state
        .machines
        .get(&unit.machine)
        .filter(|_| state.apps.get(app_of(name)).is_some_and(|app| app.charm.is_some()));
    let status = match &unit.error {
        Some(failure) => Status::new("error", &format!("hook failed: \"{}\"", failure.call.hook)),
        None => unit.status.clone(),
    };
    UnitStatus {
        status,
        workload: unit.status.clone(),
        is_leader: state.is_leader(name),
        is_dying: unit.life == crate::state::Life::Dying,
        is_up: machine.is_none_or(|machine| machine.is_up),
        machine: machine.map(|_| unit.machine),
        address: machine.map_or_else(String::new, |machine| machine.address.to_string()),
        ports: unit.ports.iter().cloned().collect(),
    }
}

fn worst(app: &str, units: &BTreeMap<String, UnitStatus>) -> Status {
    let rank = |status: &Status| {
        SEVERITY.iter().position(|known| *known == status.status).unwrap_or(SEVERITY.len())
    };
    let of_app = units.iter().filter(|(name, _)| app_of(name) == app).map(|(_, unit)| &unit.status);
    of_app.min_by_key(|status| rank(status)).cloned().unwrap_or_else(|| Status::new("unknown", ""))
}

fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().map(|row| row[column].len()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}
