//! A member: its parts, how they start and how they stop.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::Error;
use api::etcdserverpb::{
    MemberAddRequest, MemberPromoteRequest, MemberRemoveRequest, MemberUpdateRequest,
};
use bytes::{BufMut, Bytes, BytesMut};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use parking_lot::Mutex as SyncMutex;
use prost::Message;
use rand::Rng;
use storage::{Backend, Log};
use store::{Command, CommandId, CommandKind, MemberId, Op, Outcome, SharedStore};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::codec::Wire;
use crate::config::Config;
use crate::controller::{
    LeaveError, Operation, RemovalReason, RemoveError, Retirement, Tombstone, announce_addresses,
    ask_seeds_when_forgotten,
};
use crate::hooks::Hooks;
use crate::leadership::{Leadership, Leading, observe};
use crate::machine::Machine;
use crate::members::MemberInfo;
use crate::peer::{Gate, Kind, Local, Method, PeerStats, Pool, serve};
use crate::read_index::{ReadIndex, ReadIndexTask};
use crate::snapshot_trigger::SnapshotTrigger;
use crate::start::{Opened, StartError};
use crate::tasks;
use crate::types::{Peer, Raft};

/// How long a leader that shuts down waits for its successor.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(2);

/// What every part of a running member shares.
pub(crate) struct Shared {
    pub(crate) raft: Raft,
    pub(crate) local: Arc<Local>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) log: Log,
    pub(crate) leadership: watch::Sender<Leadership>,
    pub(crate) snapshot_trigger: Arc<SnapshotTrigger>,
    /// Keeps appends and the installation of snapshots apart.
    pub(crate) gate: Gate,
    /// Membership changes happen one at a time.
    pub(crate) changing: Mutex<()>,
    /// Since when this member leads.
    pub(crate) leading: SyncMutex<Leading>,
    pub(crate) request_timeout: Duration,
    pub(crate) election_timeout: Duration,
    pub(crate) max_learners: usize,
    pub(crate) log_bytes_max: u64,
    stopping: AtomicBool,
}

impl Shared {
    /// Raft has ended. That is fatal unless it was asked to: openraft never comes back from it.
    pub(crate) fn stopped(&self, reason: &str) {
        self.local.machine.waiters.give_up();
        let is_meant =
            self.stopping.load(Ordering::Acquire) || self.local.leaving.load(Ordering::Acquire);
        if !is_meant {
            self.local.hooks.fatal(reason);
        }
    }
}

/// What a member knows of the consensus right now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The leader, when one is known.
    pub leader: Option<MemberId>,
    /// The newest term seen.
    pub term: u64,
    /// The last index known to be committed.
    pub committed_index: u64,
    /// The last index applied here.
    pub applied_index: u64,
    /// This member has no vote.
    pub is_learner: bool,
    /// This member leads.
    pub is_leader: bool,
}

/// A running member; clones are handles to the same one.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    read_index: ReadIndex,
    leadership: watch::Receiver<Leadership>,
    tasks: Arc<Mutex<JoinSet<()>>>,
}

impl Node {
    /// Opens the data directory, joins or founds the cluster and starts to serve peers.
    ///
    /// # Errors
    /// When the directory cannot be used, is another member's, or is damaged; when an existing
    /// cluster cannot be reached or does not know this member.
    pub async fn start(config: Config, hooks: Arc<dyn Hooks>) -> Result<Self, StartError> {
        let opened = Opened::open(&config, hooks.clone()).await?;
        let snapshot_trigger = opened.snapshot_trigger.clone();
        let machine = opened.machine.clone();
        let local = Arc::new(Local::new(
            opened.cluster,
            opened.member.0,
            opened.incarnation,
            machine.clone(),
            opened.data_dir.clone(),
            hooks,
        ));
        let waiting = machine.clone();
        let pool = Arc::new(Pool::new(local.clone(), move |sequence, _| {
            waiting.waiters.not_proposed(sequence);
        }));
        let raft = Raft::new(
            opened.member.0,
            opened.raft_config.clone(),
            crate::peer::NetworkFactory(pool.clone()),
            opened.log_store,
            Machine(machine),
        )
        .await
        .map_err(|error| StartError::Raft(error.to_string()))?;
        let (leadership, leadership_seen) = watch::channel(Leadership::default());
        let shared = Arc::new(Shared {
            raft,
            local,
            pool,
            log: opened.log,
            leadership: leadership.clone(),
            snapshot_trigger,
            gate: Gate::default(),
            changing: Mutex::default(),
            leading: SyncMutex::default(),
            request_timeout: config.request_timeout(),
            election_timeout: config.election_timeout,
            max_learners: config.max_learners,
            log_bytes_max: config.log_bytes_max,
            stopping: AtomicBool::new(false),
        });
        let (read_index, reads) = ReadIndex::new();
        shared.learn_members().await?;
        let mut tasks = spawn_tasks(&shared, leadership, reads, config.peer_listeners);
        if let Some(join) = config.join {
            let advertised = config.advertise_peer_urls;
            tasks.spawn(ask_seeds_when_forgotten(shared.clone(), join.seeds.clone()));
            tasks.spawn(announce_addresses(shared.clone(), advertised, join.seeds));
        }
        if let Some(founders) = opened.founders {
            found(&shared, founders).await?;
        }
        let tasks = Arc::new(Mutex::new(tasks));
        Ok(Self { shared, read_index, leadership: leadership_seen, tasks })
    }

    /// Proposes a client's request as it came over the wire and waits until it is applied here.
    ///
    /// # Errors
    /// What applying it answers; [`Error::TooManyRequests`]; the timeouts of etcd's table when the
    /// outcome is unknown.
    pub async fn propose(&self, kind: CommandKind, raw: &[u8]) -> Outcome {
        let command = Command::from_request(self.next_command_id(), kind, raw)
            .map_err(|error| Error::InvalidArgument(error.to_string()))?;
        self.propose_command(command).await
    }

    /// Proposes an operation of this member's own.
    ///
    /// # Errors
    /// As [`Self::propose`].
    pub async fn propose_op(&self, op: Op) -> Outcome {
        self.propose_command(Command::new(self.next_command_id(), op)).await
    }

    /// Proposes a command built with [`Self::next_command_id`].
    ///
    /// # Errors
    /// As [`Self::propose`].
    pub async fn propose_command(&self, command: Command) -> Outcome {
        self.shared.propose(command).await
    }

    /// A name for a new command of this member.
    pub fn next_command_id(&self) -> CommandId {
        self.shared.local.machine.waiters.next_id()
    }

    /// Returns once everything that was acknowledged before the call can be read here.
    ///
    /// # Errors
    /// [`Error::Timeout`] when no leader confirms itself in time.
    pub async fn read_index(&self) -> Result<(), Error> {
        self.read_index.wait().await
    }

    /// The replicated state.
    pub fn store(&self) -> &Arc<SharedStore> {
        &self.shared.local.machine.store
    }

    /// The database behind it.
    pub fn backend(&self) -> &Backend {
        &self.shared.local.machine.backend
    }

    /// The raft log.
    pub fn log(&self) -> &Log {
        &self.shared.log
    }

    /// What this member knows of the consensus right now.
    pub fn status(&self) -> Status {
        let leadership = *self.leadership.borrow();
        let metrics = self.shared.raft.metrics();
        let metrics = metrics.borrow_watched();
        let own = self.shared.local.member;
        Status {
            leader: leadership.leader,
            term: leadership.term,
            committed_index: metrics.local_committed.map_or(0, |log_id| log_id.index),
            applied_index: self.shared.local.machine.applied_index().unwrap_or_default(),
            is_learner: !metrics.membership_config.voter_ids().any(|id| id == own),
            is_leader: leadership.is_self,
        }
    }

    /// The newest term seen; cheap enough for every answer's header.
    pub fn term(&self) -> u64 {
        self.leadership.borrow().term
    }

    /// Tells when the leader or the term changes.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Client proposals of this member that are waiting for their outcome.
    pub fn proposals_pending(&self) -> usize {
        self.shared.local.machine.waiters.in_flight()
    }

    /// What has gone over the connections with each peer, by id; also with one that is connected
    /// and not yet, or no longer, a member.
    pub fn peer_stats(&self) -> Vec<PeerStats> {
        self.shared.local.peer_stats()
    }

    /// The members, by id.
    pub fn members(&self) -> Vec<MemberInfo> {
        self.shared.members()
    }

    /// Adds a member and returns it as it was listed.
    ///
    /// # Errors
    /// [`Error::PeerUrlExist`], [`Error::TooManyLearners`], [`Error::MemberNotEnoughStarted`].
    pub async fn member_add(
        &self,
        peer_urls: Vec<String>,
        is_learner: bool,
    ) -> Result<MemberInfo, Error> {
        let request = MemberAddRequest { peer_ur_ls: peer_urls.clone(), is_learner };
        let mut answer = self.change_members(Method::Add, &request).await?;
        let id = u64::parse(&mut answer).map_err(|error| Error::Internal(error.to_string()))?;
        Ok(MemberInfo { id: MemberId(id), peer_urls, is_learner, ..MemberInfo::default() })
    }

    /// Removes a member; its id is never used again.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::MemberNotEnoughStarted`].
    pub async fn member_remove(&self, id: MemberId) -> Result<(), Error> {
        self.change_members(Method::Remove, &MemberRemoveRequest { id: id.0 }).await.map(|_| ())
    }

    /// Changes where a member's peers reach it.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::PeerUrlExist`].
    pub async fn member_update(&self, id: MemberId, peer_urls: Vec<String>) -> Result<(), Error> {
        let request = MemberUpdateRequest { id: id.0, peer_ur_ls: peer_urls };
        self.change_members(Method::Update, &request).await.map(|_| ())
    }

    /// Gives a learner its vote.
    ///
    /// # Errors
    /// [`Error::MemberNotFound`], [`Error::MemberNotLearner`], [`Error::LearnerNotReady`].
    pub async fn member_promote(&self, id: MemberId) -> Result<(), Error> {
        self.change_members(Method::Promote, &MemberPromoteRequest { id: id.0 }).await.map(|_| ())
    }

    async fn change_members(&self, method: Method, request: &impl Message) -> Result<Bytes, Error> {
        self.call_leader(method as u8, request.encode_to_vec().into()).await
    }

    /// Asks the leader's agent (this one, when it leads) something only it knows.
    ///
    /// # Errors
    /// What the leader answers; [`Error::Timeout`] without a leader;
    /// [`Error::TimeoutDueToConnectionLost`] when its answer did not arrive.
    pub async fn call_leader(&self, method: u8, payload: Bytes) -> Result<Bytes, Error> {
        self.shared.call_leader(method, payload).await
    }

    /// Hands leadership to `target` and returns when it leads.
    ///
    /// # Errors
    /// [`Error::NotLeader`] when this member does not lead; [`Error::BadLeaderTransferee`] when
    /// `target` is this member or no voter; [`Error::TransferTookTooLong`].
    pub async fn move_leader(&self, target: MemberId) -> Result<(), Error> {
        if !self.leadership.borrow().is_self {
            return Err(Error::NotLeader);
        }
        let is_voter = self.shared.membership().voter_ids().any(|id| id == target.0);
        if target.0 == self.shared.local.member || !is_voter {
            return Err(Error::BadLeaderTransferee);
        }
        let limit = 2 * self.shared.election_timeout;
        self.shared.transfer(target, limit).await
    }

    /// This member's id.
    pub fn member_id(&self) -> MemberId {
        MemberId(self.shared.local.member)
    }

    /// The cluster's id.
    pub fn cluster_id(&self) -> u64 {
        self.shared.local.cluster
    }

    /// Takes one step of physical compaction, at most `rows_max` rows; false when nothing is left.
    pub fn compact_step(&self, rows_max: usize) -> bool {
        self.shared.local.machine.compact_step(rows_max)
    }

    /// Leaves the cluster in order: hands leadership over, has the leader remove this member, marks
    /// the directory as left and stops. The fatal hook is not called. Takes up to a minute, with
    /// every change of leader and every other leaver in between.
    ///
    /// # Errors
    /// Then nothing has changed, and the node runs on.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        self.shared.leave().await?;
        self.shutdown().await;
        Ok(())
    }

    /// Removes a member for `reason`, unless that would leave too few alive. Waits up to half a
    /// minute for other operations.
    ///
    /// # Errors
    /// See [`RemoveError`]; after [`RemoveError::NoQuorum`] the outcome is not known.
    pub async fn remove_member(
        &self,
        id: MemberId,
        reason: RemovalReason,
    ) -> Result<(), RemoveError> {
        let asked = Retirement { member: id.0, reason, is_own_wish: false };
        self.shared.remove_in_order(asked).await
    }

    /// What the leader is doing with the members, as far as this member has applied. `None` when
    /// nothing is open.
    pub fn operation(&self) -> Option<Operation> {
        self.shared.operation()
    }

    /// The members that are no more, by id.
    pub fn tombstones(&self) -> Vec<Tombstone> {
        self.shared.tombstones()
    }

    /// How long ago a member was heard of. `None` when this member cannot tell: about itself, and
    /// unless it leads about members that have no reason to talk to it.
    pub fn last_contact(&self, id: MemberId) -> Option<Duration> {
        self.shared.last_contact(id)
    }

    /// Members that have a vote now; one that was added as a voter gets its vote when it has caught
    /// up.
    pub fn voters(&self) -> usize {
        self.shared.local.machine.membership.read().stored.voter_ids().count()
    }

    /// Members whose data directory the applied membership names. Less than all of them only until
    /// the leader has met them all.
    pub fn incarnations_recorded(&self) -> usize {
        let membership = self.shared.local.machine.membership.read();
        membership.stored.nodes().filter(|(_, peer)| peer.incarnation.is_some()).count()
    }

    /// What earlier members in this data directory left, oldest first.
    pub fn archives(&self) -> Vec<PathBuf> {
        self.shared.local.data_dir.archives().unwrap_or_else(|error| {
            tracing::warn!(%error, "the archives cannot be listed");
            Vec::new()
        })
    }

    /// Hands leadership over, stops, and leaves everything applied on disk. Once is enough; again
    /// it does nothing.
    pub async fn shutdown(&self) {
        let shared = &self.shared;
        if shared.stopping.swap(true, Ordering::AcqRel) {
            return;
        }
        shared.hand_over().await;
        if let Err(error) = shared.raft.shutdown().await {
            tracing::warn!(%error, "raft did not stop in order");
        }
        shared.local.machine.waiters.give_up();
        self.tasks.lock().await.shutdown().await;
        if let Err(error) = shared.local.machine.flush().await {
            tracing::warn!(%error, "the database was not flushed; the log still has everything");
        }
        shared.log.close();
        shared.local.machine.backend.close();
    }
}

impl Shared {
    /// What the log says of the members, before anybody may connect: which data directories count.
    ///
    /// # Errors
    /// When it says that this directory must not run.
    async fn learn_members(&self) -> Result<(), StartError> {
        let newest = self
            .raft
            .with_raft_state(|state| state.membership_state.effective().as_ref().clone())
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        for (id, peer) in newest.nodes() {
            self.pool.learn(*id, peer);
        }
        match self.local.disowned(&newest) {
            Some(reason) => Err(StartError::Disowned(reason)),
            None => Ok(()),
        }
    }

    /// Asks the leader something; see [`Node::call_leader`].
    pub(crate) async fn call_leader(&self, method: u8, payload: Bytes) -> Result<Bytes, Error> {
        let leader = tokio::time::timeout(self.request_timeout, self.wait_for_leader())
            .await
            .map_err(|_| Error::Timeout)?;
        if leader == self.local.member {
            return self.answer_call(leader, method, payload).await;
        }
        let mut request = BytesMut::with_capacity(payload.len() + 1);
        request.put_u8(method);
        request.put_slice(&payload);
        self.pool
            .requests(leader)
            .request(Kind::Call, request.freeze(), self.request_timeout)
            .await
            .map_err(crate::peer::LinkError::into_etcd)
    }

    /// See [`Node::last_contact`].
    fn last_contact(&self, id: MemberId) -> Option<Duration> {
        let leadership = *self.leadership.borrow();
        let heard = self.local.last_heard(id.0);
        if id.0 == self.local.member {
            None
        } else if leadership.is_self {
            heard.or_else(|| self.leads_since().map(|since| since.elapsed()))
        } else if leadership.leader == Some(id) {
            Some(self.local.silence())
        } else {
            heard.filter(|heard| *heard < 2 * self.election_timeout)
        }
    }

    /// Gives leadership to a voter with the longest log, if there is another voter.
    pub(crate) async fn hand_over(&self) {
        if !self.leadership.borrow().is_self {
            return;
        }
        let Some(successor) = self.best_successor() else { return };
        if let Err(error) = self.transfer(successor, HANDOVER_TIMEOUT).await {
            tracing::warn!(%successor, %error, "leadership was not handed over");
        }
    }

    /// One of those with the longest log, by chance: two leavers must not pass leadership to and
    /// fro between them while a third could keep it.
    fn best_successor(&self) -> Option<MemberId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let progress = metrics.replication.as_ref()?;
        metrics
            .membership_config
            .voter_ids()
            .filter(|id| *id != self.local.member)
            .max_by_key(|id| (progress.get(id).copied().flatten(), rand::rng().random::<u32>()))
            .map(MemberId)
    }

    pub(crate) async fn transfer(&self, target: MemberId, limit: Duration) -> Result<(), Error> {
        self.raft.trigger().transfer_leader(target.0).await.map_err(|_| Error::Stopped)?;
        let mut leadership = self.leadership.subscribe();
        let moved = leadership.wait_for(|now| now.leader == Some(target));
        match tokio::time::timeout(limit, moved).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::TransferTookTooLong),
        }
    }
}

#[cfg(test)]
impl Node {
    /// What the parts share.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Ends everything that runs beside raft, with nothing handed over and nothing flushed.
    pub(crate) async fn stop_tasks(&self) {
        self.tasks.lock().await.shutdown().await;
    }
}

#[cfg(test)]
impl Shared {
    /// From here on the end of raft is not reported.
    pub(crate) fn stop_being_fatal(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

fn spawn_tasks(
    shared: &Arc<Shared>,
    leadership: watch::Sender<Leadership>,
    reads: ReadIndexTask,
    listeners: Vec<TcpListener>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(observe(shared.clone(), leadership));
    tasks.spawn(reads.run(shared.clone()));
    tasks.spawn(tasks::make_snapshots(shared.clone()));
    tasks.spawn(tasks::expire_proposals(shared.clone()));
    tasks.spawn(tasks::tend_members(shared.clone()));
    tasks.spawn(tasks::follow_membership(shared.clone()));
    tasks.spawn(tasks::follow_removals(shared.clone()));
    tasks.spawn(tasks::ask_when_forgotten(shared.clone()));
    tasks.spawn(tasks::meet_members(shared.clone()));
    for listener in listeners {
        tasks.spawn(serve(shared.clone(), listener));
    }
    tasks
}

/// Writes the first membership. Every founder writes the same one; it is written once per member,
/// and a member that crashed before it did so does it at its next start.
async fn found(shared: &Shared, founders: BTreeMap<u64, Peer>) -> Result<(), StartError> {
    match shared.raft.initialize(founders).await {
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
        Err(error) => Err(StartError::Raft(io::Error::other(error).to_string())),
    }
}
