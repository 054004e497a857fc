//! What a hook decides: pure functions over a snapshot of the facts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use juju::{Hook, RelationEvent, StorageEvent, UnitName};

use crate::agent::{AgentStatus, State};
use crate::facts::{Facts, Peer, Service};
use crate::notes::{Generation, Leaving};
use crate::paths::Paths;
use crate::settings::{Role, Settings};

/// How long a member without a unit is left alone when nobody can tell whether it is alive: its
/// unit may be in the middle of leaving by itself.
pub const GONE_GRACE_S: u64 = 30;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What the Juju leader writes so that the cluster can be founded, in a later hook.
    pub genesis: Option<Genesis>,
    /// What becomes of this unit's member.
    pub course: Course,
    /// Members whose unit is gone.
    pub ghosts: Ghosts,
}

/// Who founds the cluster, and the text that keeps it apart from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Genesis {
    /// The cluster token.
    pub token: String,
    /// The unit.
    pub founder: UnitName,
}

/// What becomes of this unit's member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Course {
    /// It gives up its place, and the service stops.
    Leave(Leaving),
    /// It has left: the service stays down.
    StayAway(Leaving),
    /// Not yet: the line says what for.
    Wait(String),
    /// Not before a person has acted; what runs goes on running.
    Blocked(String),
    /// It runs with these settings.
    Run(Box<Run>),
}

/// A member that is to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its settings.
    pub settings: Settings,
    /// What is wrong with the options; the settings then come from the last good ones.
    pub problem: Option<String>,
    /// True when its directory is marked as left although the unit is here to stay: what is in it
    /// is put aside and the member joins again.
    pub is_to_rejoin: bool,
}

/// Members without a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ghosts {
    /// The one to remove in this hook, by name.
    pub remove: Option<String>,
    /// Since when each has been one, for the next hook.
    pub since_s: BTreeMap<String, u64>,
}

/// Decides. Must not be asked in the `remove` hook, when there is nothing left to decide.
pub fn decide(facts: &Facts) -> Plan {
    let course = course(facts);
    let is_staying = matches!(course, Course::Run(_) | Course::Wait(_) | Course::Blocked(_));
    Plan {
        genesis: facts.peer.as_ref().filter(|_| is_staying).and_then(|peer| genesis(facts, peer)),
        ghosts: if is_staying { ghosts(facts) } else { Ghosts::default() },
        course,
    }
}

fn course(facts: &Facts) -> Course {
    if let Some(why) = leaving(facts) {
        return match facts.notes.leaving {
            Some(_) => Course::StayAway(why),
            None => Course::Leave(why),
        };
    }
    let Some(peer) = &facts.peer else {
        return Course::Wait("waiting for the peer relation".to_owned());
    };
    let (Some(token), Some(founder)) = (peer.app("token"), peer.founder()) else {
        return Course::Wait("waiting for the Juju leader to name the founding unit".to_owned());
    };
    let data_dir = match data_dir(facts) {
        Ok(data_dir) => data_dir,
        Err(line) => return Course::Blocked(line),
    };
    let (options, problem) = match (&facts.options, &facts.notes.options) {
        (Ok(options), _) => (options, None),
        (Err(line), Some(last)) => (last, Some(line.clone())),
        (Err(line), None) => return Course::Blocked(line.clone()),
    };
    let is_founding = peer.cluster_id().is_none() && founder == facts.unit;
    let role = if is_founding { Role::Founder } else { Role::Joiner };
    let seeds = seeds(facts, peer);
    let addresses = &facts.addresses;
    match Settings::new(&facts.paths, options, addresses, &data_dir, token, &role, seeds) {
        Some(settings) => {
            Course::Run(Box::new(Run { settings, problem, is_to_rejoin: has_left(facts) }))
        }
        None => Course::Wait("waiting for an address from Juju".to_owned()),
    }
}

/// Why this unit leaves or has left, if it does. Storage that comes back makes it a unit again; one
/// that is removed never is.
fn leaving(facts: &Facts) -> Option<Leaving> {
    if facts.hook == Hook::Stop || facts.is_departing() {
        return Some(Leaving::Removed);
    }
    match (&facts.hook, facts.notes.leaving) {
        (_, Some(Leaving::Removed)) => Some(Leaving::Removed),
        (Hook::Storage { name, event: StorageEvent::Attached }, _) if name == "data" => None,
        (_, Some(Leaving::Storage)) => Some(Leaving::Storage),
        (Hook::Storage { name, event: StorageEvent::Detaching }, None) if name == "data" => {
            is_on_storage(facts).then_some(Leaving::Storage)
        }
        _ => None,
    }
}

/// True when the member's data are on the storage, or would be.
fn is_on_storage(facts: &Facts) -> bool {
    facts.notes.data_dir.as_ref().is_none_or(|data_dir| *data_dir != facts.paths.data())
}

/// Where the data are. Once there are some, they stay where they are: an empty directory in their
/// place would make the member forget who it is.
fn data_dir(facts: &Facts) -> Result<PathBuf, String> {
    let local = facts.paths.data();
    match (&facts.storage, &facts.notes.data_dir) {
        (Some(_), Some(noted)) if *noted == local && facts.has_local_data => Ok(local),
        (Some(location), _) => Ok(Paths::data_on(location)),
        (None, None) => Ok(local),
        (None, Some(noted)) if *noted == local => Ok(local),
        (None, Some(noted)) => Err(format!(
            "storage data with this member's data ({}) is not attached: juju attach-storage {} \
             STORAGE",
            noted.display(),
            facts.unit
        )),
    }
}

fn has_left(facts: &Facts) -> bool {
    facts.agent.as_ref().is_some_and(|agent| agent.state == State::Left)
}

/// Peer URLs of the others: their own word, and what the application has published. A unit without
/// a place in the cluster keeps those it has seen: whoever told it may be gone before it has asked.
fn seeds(facts: &Facts, peer: &Peer) -> BTreeSet<String> {
    let bags = peer.units.values().chain([&peer.departed]);
    let told = bags.filter_map(|bag| bag.get("peer-url")).filter(|url| !url.is_empty()).cloned();
    let pairs = peer.app("cluster").into_iter().flat_map(|texts| texts.split(','));
    let published = pairs.filter_map(|pair| pair.split_once('='));
    let others = published.filter(|(name, _)| *name != facts.paths.unit());
    let mut seeds: BTreeSet<String> = told.chain(others.map(|(_, url)| url.to_owned())).collect();
    let has_place = facts.agent.as_ref().is_some_and(|agent| agent.cluster_id.is_some());
    if seeds.is_empty() || !has_place {
        seeds.extend(facts.notes.seeds.iter().cloned());
    }
    seeds
}

/// The Juju leader names the founder once. It names another one only when the first is gone and
/// nobody says that there is a cluster; with another token, so that the two can never be one.
fn genesis(facts: &Facts, peer: &Peer) -> Option<Genesis> {
    let fresh = || Genesis { token: facts.fresh_token.clone(), founder: facts.unit.clone() };
    if !facts.is_juju_leader || peer.cluster_id().is_some() {
        return None;
    }
    let Some(founder) = peer.founder().filter(|_| peer.app("token").is_some()) else {
        return Some(fresh());
    };
    let is_gone = facts.expected_units().is_some_and(|units| !units.contains(&founder));
    (is_gone && !has_anybody_a_cluster(facts, peer)).then(fresh)
}

/// True when some unit has a place in a cluster, or had one when it last said so.
fn has_anybody_a_cluster(facts: &Facts, peer: &Peer) -> bool {
    let own = facts.agent.as_ref().and_then(|agent| agent.cluster_id.as_deref());
    let bags = peer.units.values().chain([&peer.departed]);
    let others = bags.filter_map(|bag| bag.get("cluster-id"));
    own.into_iter().chain(others.map(String::as_str)).any(|id| !id.is_empty())
}

/// The cluster, as the founder reports it once it is a member; as any member does when the founder
/// is gone. Only the founder's word counts while it is there: another unit may have come with the
/// disk of another cluster.
pub fn formed(facts: &Facts, peer: &Peer, agent: Option<&AgentStatus>) -> Option<String> {
    let founder = peer.founder()?;
    let own = || {
        let agent = agent.filter(|agent| agent.state == State::Member)?;
        agent.cluster_id.clone()
    };
    let told = |bag: &BTreeMap<String, String>| {
        let is_member = bag.get("state").is_some_and(|state| state == State::Member.as_str());
        bag.get("cluster-id").filter(|id| is_member && !id.is_empty()).cloned()
    };
    if founder == facts.unit {
        return own();
    }
    let is_there = facts.expected_units().is_none_or(|units| units.contains(&founder));
    match is_there {
        true => peer.units.get(&founder).and_then(told),
        // The founder's last word is there for one hook; afterwards only the cluster can tell.
        false => own().or_else(|| peer.units.values().chain([&peer.departed]).find_map(told)),
    }
}

/// Members of this application whose unit is gone. Only the Juju leader looks, only when its agent
/// has a majority and Juju has told of all units: no answer is not absence.
fn ghosts(facts: &Facts) -> Ghosts {
    let ready = facts.agent.as_ref().filter(|agent| agent.is_ready && facts.is_juju_leader);
    let (Some(agent), Some(expected)) = (ready, facts.expected_units()) else {
        return Ghosts { remove: None, since_s: facts.notes.gone_since_s.clone() };
    };
    let is_ghost = |member: &&crate::agent::Member| {
        let unit = UnitName::from_member_name(&member.name);
        unit.is_some_and(|unit| unit.app() == facts.unit.app() && !expected.contains(&unit))
            && Some(&member.id) != agent.member_id.as_ref()
    };
    let ghosts: Vec<_> = agent.members.iter().filter(is_ghost).collect();
    let since = |name: &String| *facts.notes.gone_since_s.get(name).unwrap_or(&facts.now_s);
    let is_due = |member: &&&crate::agent::Member| {
        member.is_alive == Some(false)
            || facts.now_s.saturating_sub(since(&member.name)) >= GONE_GRACE_S
    };
    Ghosts {
        remove: ghosts.iter().find(is_due).map(|member| member.name.clone()),
        since_s: ghosts.iter().map(|member| (member.name.clone(), since(&member.name))).collect(),
    }
}

/// What the service needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It runs with what is wanted.
    Nothing,
    /// It does not run.
    Start,
    /// It runs with something else; nobody depends on it.
    Restart,
    /// It runs with something else and others count on it: one after another.
    RestartInTurn,
}

/// What the service needs to run `wanted`. `is_bootstrap_new` tells that what a member without data
/// reads has changed; only such a member cares.
pub fn step(facts: &Facts, wanted: &Generation, is_bootstrap_new: bool) -> Step {
    if facts.service != Service::Up {
        return Step::Start;
    }
    let agent = facts.agent.as_ref();
    if facts.notes.running.as_ref() == Some(wanted) {
        let has_place = agent.is_some_and(|agent| agent.cluster_id.is_some());
        return if is_bootstrap_new && !has_place { Step::Restart } else { Step::Nothing };
    }
    match agent {
        Some(agent) if agent.state == State::Member && agent.members.len() > 1 => {
            Step::RestartInTurn
        }
        _ => Step::Restart,
    }
}

/// True when a generation that does not become ready is taken back: the last one was ready, nothing
/// but the change can be the reason, and the change is not where the unit is, which cannot be taken
/// back. A member that was up and had no majority proves nothing about the change.
pub fn can_roll_back(facts: &Facts, wanted: &Generation) -> bool {
    let Some(last) = &facts.notes.running else { return false };
    let hosts = |env: &str| {
        let line = env.lines().find(|line| line.starts_with("ETCD_INITIAL_ADVERTISE_PEER_URLS="));
        let url = line.and_then(|line| line.split('"').nth(1)).unwrap_or_default();
        url.rsplit_once(':').map(|(host, _)| host.to_owned())
    };
    // One that does not answer may be this very change, begun by a hook that was killed.
    let is_fit = facts.agent.as_ref().is_none_or(|agent| agent.is_ready);
    facts.notes.is_proven
        && is_fit
        && last != wanted
        && hosts(&last.member_env) == hosts(&wanted.member_env)
}

/// True for the last hook of a relation: its databag takes nothing any more.
pub fn is_broken(hook: &Hook) -> bool {
    matches!(hook, Hook::Relation { event: RelationEvent::Broken, .. })
}
