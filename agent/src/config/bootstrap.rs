//! `--initial-cluster`, and what a member with an empty data directory must find in it.

use std::collections::BTreeMap;

use super::error::ConfigError;
use super::types::{ClusterState, Config, FoundingMember};
use super::url::{Scheme, Url};

/// Reads `name=url,name=url`; a name may come several times, once per address.
pub(super) fn parse(text: &str) -> Result<Vec<FoundingMember>, String> {
    let mut members = BTreeMap::<String, Vec<Url>>::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, url) = part
            .split_once('=')
            .ok_or_else(|| format!("expected name=url,name=url but {part:?} has no ="))?;
        let url = Url::parse(url)?;
        if url.scheme() != Scheme::Http {
            return Err("TLS and unix sockets are not available in this release yet".into());
        }
        members.entry(name.to_owned()).or_default().push(url);
    }
    let sorted = members.into_iter().map(|(name, mut peer_urls)| {
        peer_urls.sort();
        FoundingMember { name, peer_urls }
    });
    Ok(sorted.collect())
}

impl Config {
    /// Checks what only a member with an empty data directory needs: that it is one of the
    /// founders, under its own addresses. A member that has data ignores `--initial-cluster`, as
    /// etcd does, so a stale one does not keep it from starting.
    ///
    /// # Errors
    /// When this member is missing, has other addresses (checked when founding, not when
    /// joining), or an address is there twice. One that joins by seeds need not be listed.
    pub fn check_bootstrap(&self) -> Result<(), ConfigError> {
        if self.join.is_some() && self.cluster_state == ClusterState::Existing {
            // The seeds say who the members are.
            return self.check_unique();
        }
        let own = self.founding_members.iter().find(|member| member.name == self.name);
        let own = own.ok_or_else(|| {
            ConfigError::Rule(format!(
                "couldn't find local name {:?} in the initial cluster configuration: --name must \
                 be one of the names in --initial-cluster",
                self.name
            ))
        })?;
        self.check_unique()?;
        match self.cluster_state {
            ClusterState::New => self.check_advertised(own),
            ClusterState::Existing => Ok(()),
        }
    }

    fn check_unique(&self) -> Result<(), ConfigError> {
        let mut urls: Vec<&Url> =
            self.founding_members.iter().flat_map(|member| &member.peer_urls).collect();
        urls.sort();
        match urls.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => {
                Err(ConfigError::Rule(format!("--initial-cluster has duplicate url {}", pair[0])))
            }
            None => Ok(()),
        }
    }

    fn check_advertised(&self, own: &FoundingMember) -> Result<(), ConfigError> {
        let advertised = &self.urls.advertise_peer;
        let within = |url: &Url, list: &[Url]| list.iter().any(|other| url.same_place(other));
        if let Some(url) = own.peer_urls.iter().find(|url| !within(url, advertised)) {
            return Err(ConfigError::Rule(format!(
                "--initial-cluster has {}={url} but missing from \
                 --initial-advertise-peer-urls={}",
                own.name,
                join(advertised)
            )));
        }
        if let Some(url) = advertised.iter().find(|url| !within(url, &own.peer_urls)) {
            return Err(ConfigError::Rule(format!(
                "--initial-advertise-peer-urls has {url} but missing from --initial-cluster={}={}",
                own.name,
                join(&own.peer_urls)
            )));
        }
        Ok(())
    }
}

fn join(urls: &[Url]) -> String {
    urls.iter().map(Url::as_str).collect::<Vec<_>>().join(",")
}
