//! What is published in relations.

use std::collections::BTreeMap;

use juju::{Changes, UnitName};

use crate::agent::{AgentStatus, Member};
use crate::facts::{Addresses, Facts};
use crate::settings::Settings;

/// A databag's contents, or the part of it that is ours.
pub type Texts = BTreeMap<&'static str, String>;

/// `name=peer-url,...` of all members that have both, in the order of their units. What an etcd
/// proxy takes as its initial cluster.
pub fn cluster_string(members: &[Member]) -> String {
    joined(members, |member| &member.peer_urls)
}

/// `name=client-url,...` of all members that have both.
pub fn client_string(members: &[Member]) -> String {
    joined(members, |member| &member.client_urls)
}

fn joined(members: &[Member], urls: impl Fn(&Member) -> &[String]) -> String {
    let pairs = in_order(members)
        .into_iter()
        .filter(|member| !member.name.is_empty())
        .flat_map(|member| urls(member).iter().map(move |url| format!("{}={url}", member.name)));
    pairs.collect::<Vec<_>>().join(",")
}

/// Client URLs of all members, separated by commas.
pub fn connection_string(members: &[Member]) -> String {
    let urls = in_order(members).into_iter().flat_map(|member| member.client_urls.clone());
    urls.collect::<Vec<_>>().join(",")
}

/// By unit: etcd-2 before etcd-10. The order must not depend on who answered.
fn in_order(members: &[Member]) -> Vec<&Member> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|member| (UnitName::from_member_name(&member.name), &member.name));
    members
}

/// This unit's bag of the peer relation.
pub fn peer_unit(facts: &Facts, settings: &Settings, agent: Option<&AgentStatus>) -> Texts {
    let mut texts = Texts::from([
        ("name", facts.paths.unit().to_owned()),
        ("peer-url", settings.peer_url.clone()),
        ("client-url", settings.client_url.clone()),
    ]);
    if let Some(agent) = agent {
        texts.insert("state", agent.state.as_str().to_owned());
        texts.insert("member-id", agent.member_id.clone().unwrap_or_default());
        texts.insert("cluster-id", agent.cluster_id.clone().unwrap_or_default());
        texts.insert("version", agent.workload_version().to_owned());
    }
    texts
}

/// The application's bag of the peer relation, beside token and founder, as far as it is known.
pub fn peer_app(facts: &Facts, cluster_id: Option<String>, agent: Option<&AgentStatus>) -> Texts {
    let mut texts = Texts::new();
    if let Some(cluster_id) = cluster_id {
        texts.insert("cluster-id", cluster_id);
        texts.insert("cluster-state", "existing".to_owned());
    }
    if let Some(token) = facts.peer.as_ref().and_then(|peer| peer.app("token")) {
        texts.insert("cluster-token", token.to_owned());
    }
    if let Some(address) = &facts.addresses.peer {
        texts.insert("leader-address", address.clone());
    }
    let cluster = agent.map(|agent| cluster_string(&agent.members)).unwrap_or_default();
    if !cluster.is_empty() {
        texts.insert("cluster", cluster);
    }
    texts
}

/// Endpoints that clients and proxies relate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `client`: where this unit is.
    Client,
    /// `db`: where the cluster is.
    Db,
    /// `proxy`: who the members are.
    Proxy,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Client, Self::Db, Self::Proxy];

    /// Its name in the metadata.
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Db => "db",
            Self::Proxy => "proxy",
        }
    }

    /// What this unit publishes there; nothing while it is no member, so that what was published
    /// stays.
    pub fn texts(self, agent: &AgentStatus, addresses: &Addresses, port: u16) -> Texts {
        let some = |texts: Texts| texts.into_iter().filter(|(_, text)| !text.is_empty()).collect();
        let address = addresses.client.clone().unwrap_or_default();
        match self {
            Self::Client => some(Texts::from([
                ("port", port.to_string()),
                ("public_hostname", addresses.public.clone().unwrap_or_else(|| address.clone())),
                ("hostname", address),
            ])),
            Self::Db => some(Texts::from([
                ("connection_string", connection_string(&agent.members)),
                ("version", agent.workload_version().to_owned()),
            ])),
            Self::Proxy => some(Texts::from([("cluster", cluster_string(&agent.members))])),
        }
    }
}

/// What has to be written so that `bag` has `texts`; an empty text means that the key is absent.
pub fn changes(bag: &BTreeMap<String, String>, texts: &Texts) -> Changes {
    let differs = |key: &str, text: &String| bag.get(key).map_or("", String::as_str) != text;
    let value = |text: &String| (!text.is_empty()).then(|| text.clone());
    texts
        .iter()
        .filter(|(key, text)| differs(key, text))
        .map(|(key, text)| ((*key).to_owned(), value(text)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(name: &str, host: &str) -> Member {
        Member {
            name: name.to_owned(),
            peer_urls: vec![format!("http://{host}:2380")],
            client_urls: vec![format!("http://{host}:2379")],
            ..Member::default()
        }
    }

    #[test]
    fn members_are_listed_by_unit_number_and_without_those_that_have_no_name() {
        let members = [member("etcd-10", "c"), member("", "x"), member("etcd-2", "b")];
        assert_eq!(cluster_string(&members), "etcd-2=http://b:2380,etcd-10=http://c:2380");
        assert_eq!(client_string(&members), "etcd-2=http://b:2379,etcd-10=http://c:2379");
        assert_eq!(connection_string(&members[2..]), "http://b:2379");
    }

    #[test]
    fn only_what_differs_is_written() {
        let bag = [("a", "1"), ("b", "2"), ("c", "3")];
        let bag = bag.map(|(key, text)| (key.to_owned(), text.to_owned())).into();
        let texts =
            Texts::from([("a", "1".into()), ("b", "9".into()), ("c", "".into()), ("d", "".into())]);
        let changes = changes(&bag, &texts);
        let expected = [("b".to_owned(), Some("9".to_owned())), ("c".to_owned(), None)];
        assert_eq!(changes, expected.into());
    }

    #[test]
    fn the_ancestors_keys_are_published() {
        let agent = AgentStatus {
            version: "3.7.1".into(),
            members: vec![member("etcd-0", "10.0.0.1")],
            ..AgentStatus::default()
        };
        let addresses = Addresses { client: Some("10.0.0.1".into()), ..Addresses::default() };
        let texts = |endpoint: Endpoint| endpoint.texts(&agent, &addresses, 2379);
        let client = Texts::from([
            ("hostname", "10.0.0.1".into()),
            ("port", "2379".into()),
            ("public_hostname", "10.0.0.1".into()),
        ]);
        assert_eq!(texts(Endpoint::Client), client);
        assert_eq!(texts(Endpoint::Db)["connection_string"], "http://10.0.0.1:2379");
        assert_eq!(texts(Endpoint::Db)["version"], "3.7.1");
        assert_eq!(texts(Endpoint::Proxy)["cluster"], "etcd-0=http://10.0.0.1:2380");
    }
}
