//! What this member knows of itself and its peers, and the shared links to them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use storage::{DataDir, Incarnation, PinMismatch, Standing};
use store::MemberId;
use tokio::sync::watch;

use super::connection::Notices;
use super::link::Link;
use super::message::{Hello, Refusal};
use super::traffic::{PeerStats, Traffic};
use crate::hooks::Hooks;
use crate::machine::{MachineState, blocking};
use crate::types::{Peer, StoredMembership};
use crate::url::host_and_port;

/// What a member that was removed says when it ends.
pub const REMOVED: &str = "this member has been removed from the cluster; to join again, add it as a new member and start it with a new data directory";

/// What a member says whose data directory is not the one the cluster knows.
fn other_incarnation(member: u64, pinned: Incarnation) -> String {
    format!(
        "member {member:x} has another data directory (incarnation {pinned}): this one is a copy or \
         was begun anew, and must not run as that member; remove the member and join again"
    )
}

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
    /// The members of the newest membership in the log. It counts before it is applied: the first
    /// votes of a new cluster are cast when nothing has been applied yet.
    members: Mutex<HashMap<u64, Peer>>,
    /// Where members say they are reached, while the membership says otherwise.
    hints: Mutex<HashMap<u64, Vec<String>>>,
    /// This member is leaving by its own wish: its removal is no surprise.
    pub(crate) leaving: AtomicBool,
    /// A peer, or the log, says that this member has been removed.
    pub(crate) removal_learnt: watch::Sender<bool>,
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
        let (complained, members, hints) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (leaving, removal_learnt) = (AtomicBool::new(false), watch::Sender::new(false));
        let (heard, traffic) = (Mutex::new(Instant::now()), Mutex::default());
        Self {
            cluster,
            member,
            incarnation,
            machine,
            data_dir,
            hooks,
            complained,
            members,
            hints,
            leaving,
            removal_learnt,
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

    /// Learns what the membership says of a member.
    pub(crate) fn learn(&self, member: u64, peer: &Peer) {
        self.members.lock().insert(member, peer.clone());
        self.hints.lock().retain(|id, urls| *id != member || *urls != peer.peer_urls);
    }

    /// Takes note of where a member says it is reached; tried before what the membership says.
    pub(crate) fn hint(&self, member: u64, peer_urls: &[String]) {
        self.hints.lock().insert(member, peer_urls.to_vec());
    }

    /// The data directory of a member: what the membership says, else what this member met first.
    pub(crate) fn incarnation_of(&self, member: u64, peer: &Peer) -> Option<Incarnation> {
        if member == self.member {
            return Some(self.incarnation);
        }
        peer.incarnation.map(Incarnation).or_else(|| self.data_dir.pinned(MemberId(member)))
    }

    /// What the membership says of a member's data directory; the newest in the log first.
    fn recorded_incarnation(&self, member: u64) -> Option<Incarnation> {
        let newest = self.members.lock().get(&member).and_then(|peer| peer.incarnation);
        let applied = || {
            let membership = self.machine.membership.read();
            membership.stored.get_node(&member).and_then(|peer| peer.incarnation)
        };
        newest.or_else(applied).map(Incarnation)
    }

    /// Why this member must not run: the membership names another data directory for it.
    pub(crate) fn disowned(&self, membership: &StoredMembership) -> Option<String> {
        let pinned = membership.get_node(&self.member)?.incarnation?;
        (pinned != self.incarnation.0).then(|| other_incarnation(self.member, Incarnation(pinned)))
    }

    /// Time since a frame of a member came in.
    pub(crate) fn last_heard(&self, member: u64) -> Option<Duration> {
        self.traffic.lock().get(&member).and_then(|traffic| traffic.last_heard())
    }

    /// Forgets the members that are gone.
    pub(crate) fn retain(&self, keep: impl Fn(u64) -> bool) {
        self.members.lock().retain(|id, _| keep(*id));
        self.hints.lock().retain(|id, _| keep(*id));
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
    pub(crate) fn addresses(&self, target: u64) -> Vec<String> {
        let hinted = self.hints.lock().get(&target).cloned().unwrap_or_default();
        let members = self.members.lock();
        let known = members.get(&target).map(|peer| peer.peer_urls.as_slice()).unwrap_or_default();
        hinted.iter().chain(known).filter_map(|url| host_and_port(url)).collect()
    }

    /// Whether the other end is who it must be: this cluster, a member that was not removed, and
    /// the data directory that the membership names. Only while it names none, the one that was
    /// seen first under that id; the first sight is made durable before anything the peer says
    /// counts.
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
        let member = MemberId(hello.from);
        if let Some(pinned) = self.recorded_incarnation(hello.from) {
            let offered = hello.incarnation;
            if pinned == offered {
                return Ok(());
            }
            let mismatch = PinMismatch::Different { member, pinned, offered };
            return refuse(false, format!("member {:x}: {mismatch}", hello.from));
        }
        let is_new = self.data_dir.pinned(member).is_none();
        self.data_dir.pin(member, hello.incarnation).map_err(|error| Refusal {
            removed: false,
            text: format!("member {:x}: {error}", hello.from),
        })?;
        if is_new {
            // A leader makes it part of the membership.
            self.machine.members_to_tend.notify_one();
        }
        Ok(())
    }

    /// Notes on disk that this member has been removed, and tells who waits for that. False when
    /// it is leaving and the removal is what it wanted.
    pub(crate) fn learn_of_removal(&self) -> bool {
        let is_surprise = !self.leaving.load(Ordering::Acquire);
        if is_surprise && let Err(error) = blocking(|| self.data_dir.retire(Standing::Removed)) {
            tracing::warn!(%error, "that this member was removed is not on its disk");
        }
        self.removal_learnt.send_replace(true);
        is_surprise
    }

    /// A peer will not talk to us. Being removed ends this member; anything else is for a person.
    pub(super) fn refused_by(&self, target: u64, refusal: &Refusal) {
        if refusal.removed {
            if self.learn_of_removal() {
                self.hooks.fatal(REMOVED);
            }
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

    /// Learns what the membership says of a member.
    pub(crate) fn learn(&self, member: u64, peer: &Peer) {
        self.local.learn(member, peer);
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
