//! What this member knows of itself and its peers, and the shared links to them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use storage::{DataDir, Incarnation};
use store::MemberId;

use super::connection::Notices;
use super::link::Link;
use super::message::{Hello, Refusal};
use super::traffic::{PeerStats, Traffic};
use crate::hooks::Hooks;
use crate::machine::MachineState;
use crate::url::host_and_port;

/// What a member that was removed says when it ends.
pub(crate) const REMOVED: &str = "this member has been removed from the cluster; to join again, add it as a new member and start it with a new data directory";

/// This member's end of every connection.
pub(crate) struct Local {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
    pub(crate) incarnation: Incarnation,
    pub(crate) machine: Arc<MachineState>,
    pub(crate) data_dir: Arc<DataDir>,
    pub(crate) hooks: Arc<dyn Hooks>,
    /// Peers told about in the log already, so that a lasting refusal is one line, not thousands.
    complained: Mutex<HashSet<u64>>,
    /// Peer URLs by member, of the newest membership in the log. It counts before it is applied:
    /// the first votes of a new cluster are cast when nothing has been applied yet.
    urls: Mutex<HashMap<u64, Vec<String>>>,
    /// When a leader sent something last.
    heard: Mutex<Instant>,
    /// Counters by peer: of the members, and of those that are connected without being one.
    traffic: Mutex<HashMap<u64, Arc<Traffic>>>,
}

impl Local {
    pub(crate) fn new(
        cluster: u64,
        member: u64,
        incarnation: Incarnation,
        machine: Arc<MachineState>,
        data_dir: Arc<DataDir>,
        hooks: Arc<dyn Hooks>,
    ) -> Self {
        let (complained, urls) = (Mutex::default(), Mutex::default());
        let (heard, traffic) = (Mutex::new(Instant::now()), Mutex::default());
        Self {
            cluster,
            member,
            incarnation,
            machine,
            data_dir,
            hooks,
            complained,
            urls,
            heard,
            traffic,
        }
    }

    /// A leader, or who takes itself for one, sent something.
    pub(super) fn hears(&self) {
        *self.heard.lock() = Instant::now();
    }

    /// Time since a leader sent something.
    pub(crate) fn silence(&self) -> Duration {
        self.heard.lock().elapsed()
    }

    /// Learns where a member is reached.
    pub(crate) fn learn(&self, member: u64, peer_urls: &[String]) {
        self.urls.lock().insert(member, peer_urls.to_vec());
    }

    /// Forgets the members that are gone.
    pub(crate) fn retain(&self, keep: impl Fn(u64) -> bool) {
        self.urls.lock().retain(|id, _| keep(*id));
        self.complained.lock().retain(|id| keep(*id));
        // A leader talks to a joiner before the joiner knows it as a member.
        self.traffic.lock().retain(|id, traffic| keep(*id) || Arc::strong_count(traffic) > 1);
    }

    /// Counters of a peer, the same ones for all its connections.
    pub(super) fn traffic(&self, peer: u64) -> Arc<Traffic> {
        self.traffic.lock().entry(peer).or_default().clone()
    }

    /// What the counters say, by id.
    pub(crate) fn peer_stats(&self) -> Vec<PeerStats> {
        let traffic = self.traffic.lock();
        let mut stats: Vec<_> =
            traffic.iter().map(|(id, traffic)| traffic.stats(MemberId(*id))).collect();
        stats.sort_unstable_by_key(|stats| stats.peer);
        stats
    }

    /// What we say of ourselves to `target`.
    pub(super) fn hello(&self, target: u64) -> Hello {
        Hello {
            cluster: self.cluster,
            from: self.member,
            incarnation: self.incarnation,
            to: target,
        }
    }

    /// `host:port` of a member's peer URLs.
    pub(super) fn addresses(&self, target: u64) -> Vec<String> {
        let urls = self.urls.lock();
        urls.get(&target)
            .map(|urls| urls.iter().filter_map(|url| host_and_port(url)).collect())
            .unwrap_or_default()
    }

    /// Whether the other end is who it must be: this cluster, a member that was not removed, and
    /// the data directory that was seen first under that id. The first sight is made durable
    /// before anything the peer says counts.
    pub(super) fn check_peer(&self, hello: &Hello) -> Result<(), Refusal> {
        let refuse = |removed, text| Err(Refusal { removed, text });
        if hello.cluster != self.cluster {
            let (theirs, ours) = (hello.cluster, self.cluster);
            return refuse(false, format!("cluster {theirs:x} is not our cluster {ours:x}"));
        }
        if hello.to != self.member {
            let (wanted, ours) = (hello.to, self.member);
            return refuse(false, format!("member {wanted:x} is not here, this is {ours:x}"));
        }
        if self.machine.is_removed(hello.from) {
            return refuse(true, format!("member {:x} was removed from the cluster", hello.from));
        }
        self.data_dir.pin(MemberId(hello.from), hello.incarnation).map_err(|error| Refusal {
            removed: false,
            text: format!("member {:x}: {error}", hello.from),
        })
    }

    /// A peer will not talk to us. Being removed ends this member; anything else is for a person.
    pub(super) fn refused_by(&self, target: u64, refusal: &Refusal) {
        if refusal.removed {
            self.hooks.fatal(REMOVED);
        } else if self.complained.lock().insert(target) {
            tracing::warn!(peer = %MemberId(target), reason = refusal.text, "peer refuses this member");
        }
    }
}

/// Links that several callers share: one for small requests, one for what clients send.
pub(crate) struct Pool {
    local: Arc<Local>,
    notices: Notices,
    requests: Mutex<HashMap<u64, Arc<Link>>>,
    proposals: Mutex<HashMap<u64, Arc<Link>>>,
}

impl Pool {
    /// `notices` receives what a leader reports of a forwarded proposal that failed.
    pub(crate) fn new(
        local: Arc<Local>,
        notices: impl Fn(u64, bytes::Bytes) + Send + Sync + 'static,
    ) -> Self {
        Self {
            local,
            notices: Arc::new(notices),
            requests: Mutex::default(),
            proposals: Mutex::default(),
        }
    }

    /// The shared link for votes, read indexes and calls.
    pub(crate) fn requests(&self, target: u64) -> Arc<Link> {
        self.shared(&self.requests, target)
    }

    /// The shared link for forwarded proposals.
    pub(crate) fn proposals(&self, target: u64) -> Arc<Link> {
        self.shared(&self.proposals, target)
    }

    /// Learns where a member is reached.
    pub(crate) fn learn(&self, member: u64, peer_urls: &[String]) {
        self.local.learn(member, peer_urls);
    }

    /// A link of the caller's own.
    pub(crate) fn own(&self, target: u64) -> Link {
        Link::new(self.local.clone(), target, self.notices.clone())
    }

    /// Closes the links to members that are gone.
    pub(crate) fn retain(&self, keep: impl Fn(u64) -> bool) {
        self.local.retain(&keep);
        self.requests.lock().retain(|id, _| keep(*id));
        self.proposals.lock().retain(|id, _| keep(*id));
    }

    fn shared(&self, links: &Mutex<HashMap<u64, Arc<Link>>>, target: u64) -> Arc<Link> {
        links.lock().entry(target).or_insert_with(|| Arc::new(self.own(target))).clone()
    }
}
