//! Members whose address has changed: they say so to everybody they can think of, everybody tries
//! the new address, and the leader makes it part of the membership.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use api::Error;
use bytes::{Bytes, BytesMut};
use openraft::async_runtime::watch::WatchReceiver;
use storage::Incarnation;

use super::claim::{URL_BYTES_MAX, URLS_MAX};
use super::drive::new_operation;
use super::operation::{OpenOperation, OperationKind};
use crate::codec::{DecodeError, Wire};
use crate::join::SeedSource;
use crate::node::Shared;
use crate::peer::{Kind, ask};
use crate::url::host_and_port;

/// Pause between two rounds of announcements.
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(1);

/// How long one receiver may take.
const ANNOUNCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Addresses told in one round: more than a cluster and its seeds have.
const ADDRESSES_MAX: usize = 64;

/// A member says where it is reached now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) peer_urls: Vec<String>,
}

impl Announcement {
    /// What it says becomes part of the membership, so it has the bounds of a claim.
    fn is_sound(&self) -> bool {
        let is_short = |url: &String| url.len() <= URL_BYTES_MAX;
        let count = self.peer_urls.len();
        (1..=URLS_MAX).contains(&count) && self.peer_urls.iter().all(is_short)
    }
}

impl Wire for Announcement {
    fn put(&self, buffer: &mut BytesMut) {
        self.cluster.put(buffer);
        self.member.put(buffer);
        self.incarnation.0.put(buffer);
        self.peer_urls.put(buffer);
    }
    fn parse(bytes: &mut Bytes) -> Result<Self, DecodeError> {
        Ok(Self {
            cluster: u64::parse(bytes)?,
            member: u64::parse(bytes)?,
            incarnation: Incarnation(Wire::parse(bytes)?),
            peer_urls: Vec::parse(bytes)?,
        })
    }
}

/// Tells the others as long as the membership shows other peer URLs than this member advertises.
pub(crate) async fn announce_addresses(
    shared: Arc<Shared>,
    advertised: Vec<String>,
    seeds: SeedSource,
) {
    let mut metrics = shared.raft.server_metrics();
    loop {
        let known = metrics.borrow_watched().membership_config.clone();
        let own = known.get_node(&shared.local.member).map(|peer| &peer.peer_urls);
        // Before the first membership arrives there is nothing to compare with.
        if own.is_none_or(|urls| *urls == advertised) {
            if metrics.changed().await.is_err() {
                return;
            }
            continue;
        }
        let announcement = Announcement {
            cluster: shared.local.cluster,
            member: shared.local.member,
            incarnation: shared.local.incarnation,
            peer_urls: advertised.clone(),
        };
        // When this member leads, it is the one that has to act.
        shared.hear_announcement(&announcement).await;
        let told = addresses(&shared, &seeds).into_iter().map(|address| {
            let payload = announcement.to_bytes();
            // Who cannot be told now is told in the next round.
            async move { drop(ask(&address, Kind::Announce, payload, ANNOUNCE_TIMEOUT).await) }
        });
        futures::future::join_all(told).await;
        tokio::time::sleep(ANNOUNCE_PAUSE).await;
    }
}

/// The seeds, and wherever a member was reached or may be.
fn addresses(shared: &Shared, seeds: &SeedSource) -> BTreeSet<String> {
    let mut addresses: BTreeSet<String> = tokio::task::block_in_place(|| seeds())
        .iter()
        .filter_map(|url| host_and_port(url))
        .collect();
    for (id, _) in shared.membership().nodes().filter(|(id, _)| **id != shared.local.member) {
        addresses.extend(shared.local.addresses(*id));
    }
    addresses.into_iter().take(ADDRESSES_MAX).collect()
}

impl Shared {
    /// Takes note of an announcement that is certain to come from the member it names: its data
    /// directory is the one that is pinned. The leader commits it.
    pub(crate) async fn hear_announcement(&self, announced: &Announcement) {
        let membership = self.membership();
        let Some(peer) = membership.get_node(&announced.member) else { return };
        let pinned = self.local.incarnation_of(announced.member, peer);
        let is_genuine =
            announced.cluster == self.local.cluster && pinned == Some(announced.incarnation);
        if !is_genuine || !announced.is_sound() || peer.peer_urls == announced.peer_urls {
            return;
        }
        self.local.hint(announced.member, &announced.peer_urls);
        if !self.leads_for_certain() {
            return;
        }
        // Busy or refused: it is announced again in a second.
        let Ok(_one_at_a_time) = self.changing.try_lock() else { return };
        let moving = tokio::time::timeout(self.request_timeout, self.move_member(announced));
        if let Ok(Err(error)) = moving.await {
            tracing::info!(%error, "the new address of a member is not recorded yet");
        }
    }

    async fn move_member(&self, announced: &Announcement) -> Result<(), Error> {
        if self.open_operation().is_some() {
            return Ok(());
        }
        let operation = OpenOperation {
            peer_urls: announced.peer_urls.clone(),
            ..new_operation(OperationKind::Move, announced.member, &self.name_of(announced.member))
        };
        self.begin(operation).await?;
        self.drive().await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(peer_urls: Vec<String>) -> Announcement {
        Announcement { cluster: 1, member: 2, incarnation: Incarnation([3; 16]), peer_urls }
    }

    #[test]
    fn an_announcement_has_bounds() {
        let url = "http://127.0.0.1:1".to_owned();
        assert!(announcement(vec![url.clone()]).is_sound());
        let long = "u".repeat(URL_BYTES_MAX + 1);
        for urls in [vec![], vec![url; URLS_MAX + 1], vec![long]] {
            assert!(!announcement(urls).is_sound());
        }
    }

    #[test]
    fn an_announcement_survives() {
        let announced = announcement(vec!["http://127.0.0.1:1".to_owned()]);
        assert_eq!(Announcement::parse(&mut announced.to_bytes()), Ok(announced));
    }
}
