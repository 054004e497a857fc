//! Writes databags, ports, version and statuses: only what differs.

use std::collections::BTreeMap;

use juju::{Bag, Changes, Environment, Port, Protocol, RelationId, Scope, Tools, UnitName};

use crate::agent::AgentStatus;
use crate::databag::{self, Endpoint, Texts};
use crate::decide::{self, Plan};
use crate::error::Error;
use crate::facts::{Facts, Peer};
use crate::report::{self, Outcome, Shown};
use crate::settings::Settings;

/// Publishes what came of the hook.
///
/// # Errors
///
/// When a hook tool fails.
pub fn publish(
    environment: &Environment,
    tools: &Tools,
    facts: &Facts,
    plan: &Plan,
    outcome: &Outcome,
) -> Result<(), Error> {
    let agent = outcome.agent.as_ref();
    // Asked again: work in between can have taken minutes, and a leader's writes by one that is not
    // the leader any more would fail the hook.
    let is_juju_leader = facts.is_juju_leader && tools.is_leader()?;
    if let Some(peer) = &facts.peer {
        if is_juju_leader {
            publish_app(tools, facts, plan, peer, agent)?;
        }
        if let Some(settings) = &outcome.settings {
            let texts = databag::peer_unit(facts, settings, agent);
            write(tools, &peer.id, Scope::Unit, &peer.own, &texts)?;
        }
    }
    if let Some(settings) = &outcome.settings {
        publish_endpoints(environment, tools, facts, settings, agent)?;
        publish_port(tools, settings.options.port)?;
    }
    let version = agent.map(AgentStatus::workload_version).unwrap_or_default();
    if !version.is_empty() {
        tools.application_version_set(version)?;
    }
    let shown = report::unit_status(facts, &plan.course, outcome);
    tools.status_set(Scope::Unit, shown.0, &shown.1)?;
    if is_juju_leader {
        publish_application_status(tools, &facts.unit, &shown)?;
    }
    Ok(())
}

/// The founder is named in one hook and read in a later one: only then is it certain that everybody
/// will read the same name.
fn publish_app(
    tools: &Tools,
    facts: &Facts,
    plan: &Plan,
    peer: &Peer,
    agent: Option<&AgentStatus>,
) -> Result<(), Error> {
    let mut texts = match peer.cluster_id() {
        Some(_) => databag::peer_app(facts, None, agent),
        None => databag::peer_app(facts, decide::formed(facts, peer, agent), agent),
    };
    if let Some(genesis) = &plan.genesis {
        texts = Texts::from([
            ("token", genesis.token.clone()),
            ("founder", genesis.founder.to_string()),
        ]);
    }
    write(tools, &peer.id, Scope::App, &peer.app, &texts)
}

fn publish_endpoints(
    environment: &Environment,
    tools: &Tools,
    facts: &Facts,
    settings: &Settings,
    agent: Option<&AgentStatus>,
) -> Result<(), Error> {
    let Some(agent) = agent.filter(|agent| agent.is_ready) else { return Ok(()) };
    let is_broken = decide::is_broken(&environment.hook);
    let ending = environment.relation.as_ref().filter(|_| is_broken).map(|relation| &relation.id);
    for endpoint in Endpoint::ALL {
        let texts = endpoint.texts(agent, &facts.addresses, settings.options.port);
        for id in tools.relation_ids(endpoint.name())? {
            if Some(&id) == ending {
                continue;
            }
            let bag = tools.relation_get(&id, &Bag::Unit(facts.unit.clone()))?;
            write(tools, &id, Scope::Unit, &bag, &texts)?;
        }
    }
    Ok(())
}

fn write(
    tools: &Tools,
    relation: &RelationId,
    scope: Scope,
    bag: &BTreeMap<String, String>,
    texts: &Texts,
) -> Result<(), Error> {
    let changes: Changes = databag::changes(bag, texts);
    Ok(tools.relation_set(relation, scope, &changes)?)
}

/// The port of the clients is open, and no other one of ours.
fn publish_port(tools: &Tools, port: u16) -> Result<(), Error> {
    let wanted = Port::tcp(port);
    let opened = tools.opened_ports()?;
    for other in opened.iter().filter(|other| **other != wanted) {
        if other.protocol() == Protocol::Tcp {
            tools.close_port(*other)?;
        }
    }
    if !opened.contains(&wanted) {
        tools.open_port(wanted)?;
    }
    Ok(())
}

fn publish_application_status(tools: &Tools, unit: &UnitName, shown: &Shown) -> Result<(), Error> {
    // Leadership may end between two calls; the next leader says it then.
    let Ok(statuses) = tools.application_status_get() else { return Ok(()) };
    let others = statuses
        .units
        .into_iter()
        .map(|(unit, reported)| (unit, (reported.status, reported.message)))
        .collect();
    let (status, message) = report::application_status((unit, shown), &others);
    match tools.status_set(Scope::App, status, &message) {
        Err(error @ juju::Error::Failed { .. }) => {
            Ok(tools.juju_log(juju::Level::Debug, &error.to_string())?)
        }
        other => Ok(other?),
    }
}
