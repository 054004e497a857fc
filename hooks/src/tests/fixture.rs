//! Facts to start from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use juju::{Config, Hook};

use crate::agent::{AgentStatus, Member, State};
use crate::facts::{Addresses, Facts, Peer, Resource, Service};
use crate::notes::Notes;
use crate::options::{Options, Source};
use crate::paths::Paths;

/// The cluster of these tests.
pub(super) const CLUSTER: &str = "00000000000000aa";

pub(super) fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, text)| ((*key).to_owned(), (*text).to_owned())).collect()
}

pub(super) fn config(json: &str) -> Config {
    Config::from_config(serde_json::from_str(json).unwrap())
}

/// Unit `etcd/N` of a new application with these other units; Juju leader when it is number 0.
pub(super) fn unit(number: u32, others: &[u32]) -> Facts {
    let name = |number: &u32| format!("etcd/{number}").parse().unwrap();
    let own: juju::UnitName = name(&number);
    let host = Some(format!("10.0.0.{number}"));
    let goal = others.iter().chain([&number]).map(|number| (name(number), false)).collect();
    Facts {
        hook: Hook::UpdateStatus,
        unit: own.clone(),
        departing: None,
        now_s: 1000,
        fresh_token: "FRESH".to_owned(),
        is_juju_leader: number == 0,
        addresses: Addresses {
            peer_bind: host.clone(),
            peer: host.clone(),
            client_bind: host.clone(),
            client: host,
            public: None,
        },
        options: Options::read(&config("{}")),
        source: Ok(Source::Carried { sum: None }),
        peer: Some(Peer {
            id: "cluster:0".parse().unwrap(),
            app: BTreeMap::new(),
            own: BTreeMap::new(),
            units: others.iter().map(|number| (name(number), BTreeMap::new())).collect(),
            departed: BTreeMap::new(),
        }),
        goal: Some(goal),
        agent: None,
        service: Service::Down,
        notes: Notes::default(),
        storage: None,
        has_local_data: false,
        resource: Resource::None,
        paths: Paths::new("/", PathBuf::from("/charm"), &own.member_name()),
    }
}

/// A unit whose cluster is formed by `etcd/0` and whose agent is a ready member beside `others`.
pub(super) fn member(number: u32, others: &[u32]) -> Facts {
    let mut facts = unit(number, others);
    set_app(&mut facts, &[("token", "T"), ("founder", "etcd/0"), ("cluster-id", CLUSTER)]);
    facts.service = Service::Up;
    facts.agent = Some(agent(number, others));
    facts
}

pub(super) fn agent(number: u32, others: &[u32]) -> AgentStatus {
    let member = |number: &u32| Member {
        id: format!("{number:016x}"),
        name: format!("etcd-{number}"),
        peer_urls: vec![format!("http://10.0.0.{number}:2380")],
        client_urls: vec![format!("http://10.0.0.{number}:2379")],
        is_alive: Some(true),
        ..Member::default()
    };
    AgentStatus {
        name: format!("etcd-{number}"),
        version: "3.7.1".to_owned(),
        state: State::Member,
        cluster_id: Some(CLUSTER.to_owned()),
        member_id: Some(format!("{number:016x}")),
        leader: Some(format!("{number:016x}")),
        is_ready: true,
        members: [number].iter().chain(others).map(member).collect(),
        ..AgentStatus::default()
    }
}

pub(super) fn set_app(facts: &mut Facts, pairs: &[(&str, &str)]) {
    facts.peer.as_mut().unwrap().app = texts(pairs);
}

pub(super) fn set_bag(facts: &mut Facts, unit: &str, pairs: &[(&str, &str)]) {
    facts.peer.as_mut().unwrap().units.insert(unit.parse().unwrap(), texts(pairs));
}
