//! From a configuration and a directory to the parts of a member.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use storage::{Backend, BackendOptions, DataDir, Identity, Incarnation, Log, LogOptions, Standing};
use store::{MemberId, SharedStore};
use thiserror::Error;

use crate::config::Config;
use crate::hooks::Hooks;
use crate::ids::{cluster_id, founder_id};
use crate::log::LogStore;
use crate::machine::{ClusterMembership, MachineState, stored_membership};
use crate::peer::{DiscoverError, Discovered, discover};
use crate::snapshot_trigger::SnapshotTrigger;
use crate::types::Peer;
use crate::waiters::Waiters;

/// Why a member does not start; one line for a person each.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] storage::DataDirError),
    /// The database cannot be used.
    #[error(transparent)]
    Backend(#[from] storage::BackendError),
    /// Something stored does not have its documented form.
    #[error(
        "the stored raft state cannot be read: {0}; replace this member, its data stays untouched"
    )]
    Stored(#[from] io::Error),
    /// The existing cluster does not answer.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// The existing cluster does not expect this member.
    #[error(
        "no member of cluster {cluster:x} has the peer URLs {urls}; add this member first (etcdctl member add) and start it with the same --initial-advertise-peer-urls"
    )]
    NotAMember {
        /// The cluster that was asked.
        cluster: u64,
        /// What this member advertises.
        urls: String,
    },
    /// This member was removed before it ended.
    #[error("{}", crate::peer::REMOVED)]
    Removed,
    /// This member left before it ended.
    #[error(
        "this member has left the cluster; to join again, start it with --join-seeds, or add it as a new member and start it with a new data directory"
    )]
    Left,
    /// The membership names another data directory for this member.
    #[error("{0}")]
    Disowned(String),
    /// The cluster that answers is not the one this directory is to join.
    #[error(
        "the cluster at the seeds is {found:x}, but this directory belonged to a member of {own:x}; correct --join-seeds, or choose an empty data directory"
    )]
    OtherCluster {
        /// What the seeds say.
        found: u64,
        /// What the directory says.
        own: u64,
    },
    /// The directory is empty and [`Config::bootstrap_fault`] is set.
    #[error("{0}")]
    Bootstrap(String),
    /// The directory is to found a cluster, and belonged to a member of one before.
    #[error(
        "{} holds the archived data of an earlier member and must not found a cluster again; join the existing one (--join-seeds, --initial-cluster-state existing), or choose an empty data directory", path.display()
    )]
    HasPast {
        /// The data directory.
        path: std::path::PathBuf,
    },
    /// The settings contradict each other.
    #[error("raft settings: {0}")]
    Settings(String),
    /// Raft itself.
    #[error("raft does not start: {0}")]
    Raft(String),
}

/// Everything that is on disk or comes from it.
pub(crate) struct Opened {
    pub(crate) cluster: u64,
    pub(crate) member: MemberId,
    pub(crate) incarnation: Incarnation,
    pub(crate) data_dir: Arc<DataDir>,
    pub(crate) log: Log,
    pub(crate) log_store: LogStore,
    pub(crate) machine: Arc<MachineState>,
    pub(crate) raft_config: Arc<openraft::Config>,
    pub(crate) snapshot_trigger: Arc<SnapshotTrigger>,
    /// The first membership, when this member founds a cluster.
    pub(crate) founders: Option<BTreeMap<u64, Peer>>,
}

impl Opened {
    pub(crate) async fn open(config: &Config, hooks: Arc<dyn Hooks>) -> Result<Self, StartError> {
        let data_dir = DataDir::open(&config.data_dir)?;
        let identity = match data_dir.identity() {
            Some(identity) => identity,
            None => new_identity(config, &data_dir).await?,
        };
        match identity.standing {
            Standing::Member => {}
            Standing::Removed => return Err(StartError::Removed),
            Standing::Left => return Err(StartError::Left),
        }
        let (log, log_state) = data_dir.open_log(LogOptions {
            sync_observer: config.observers.log_synced.clone(),
            ..LogOptions::new(data_dir.log_directory())
        })?;
        let fatal = hooks.clone();
        let backend = Backend::open(BackendOptions {
            on_fatal: Some(Arc::new(move |reason| fatal.fatal(&reason))),
            commit_observer: config.observers.database_committed.clone(),
            ..BackendOptions::new(data_dir.database_directory())
        })?;
        data_dir.check_agreement(&log_state, &backend)?;
        let store = Arc::new(SharedStore::new(
            backend.load(config.store.clone())?,
            Arc::new(backend.clone()),
        ));
        let applied = backend.position().map_or(0, |position| position.index);
        let snapshot_trigger = Arc::new(SnapshotTrigger::new(config.snapshot_count, applied));
        let membership = stored_membership(backend.membership())?;
        if membership.is_buried(identity.member_id.0) {
            data_dir.retire(Standing::Removed)?;
            return Err(StartError::Removed);
        }
        let founders = founders(config, &identity, &membership, log_state.last.is_some());
        let machine = Arc::new(MachineState::new(
            store,
            config.store.clone(),
            backend,
            Waiters::new(identity.member_id),
            hooks,
            membership,
            snapshot_trigger.clone(),
        ));
        let alone = machine.clone();
        let raft_config = config
            .openraft(format!("{:x}", identity.cluster_id))
            .validate()
            .map_err(|error| StartError::Settings(error.to_string()))?;
        Ok(Self {
            cluster: identity.cluster_id,
            member: identity.member_id,
            incarnation: identity.incarnation,
            data_dir: Arc::new(data_dir),
            log_store: LogStore::new(log.clone(), &log_state, snapshot_trigger.clone())?
                .waiting_if(move || alone.is_alone_with_one_client()),
            log,
            machine,
            raft_config: Arc::new(raft_config),
            snapshot_trigger,
            founders,
        })
    }
}

/// Gives a fresh directory its identity, on disk before the first byte of raft.
async fn new_identity(config: &Config, data_dir: &DataDir) -> Result<Identity, StartError> {
    if let Some(fault) = &config.bootstrap_fault {
        return Err(StartError::Bootstrap(fault.clone()));
    }
    let (cluster, member) = if config.join_existing {
        joiner(config, discover(&peers(config)).await?)?
    } else if data_dir.past()?.is_some() {
        return Err(StartError::HasPast { path: config.data_dir.clone() });
    } else {
        founder_identity(config)
    };
    Ok(data_dir.create_identity(cluster, member)?)
}

/// Finds this member among those the cluster expects, by its peer URLs.
fn joiner(config: &Config, found: Discovered) -> Result<(u64, MemberId), StartError> {
    let own = sorted(&config.advertise_peer_urls);
    found
        .members
        .iter()
        .find(|member| sorted(&member.peer_urls) == own)
        .map(|member| (found.cluster, MemberId(member.id)))
        .ok_or_else(|| StartError::NotAMember {
            cluster: found.cluster,
            urls: config.advertise_peer_urls.join(", "),
        })
}

/// The first membership, when nothing of raft is on disk yet and this member is one of the
/// founders. One that crashed between its identity and its first entry comes here again.
fn founders(
    config: &Config,
    identity: &Identity,
    membership: &ClusterMembership,
    has_log: bool,
) -> Option<BTreeMap<u64, Peer>> {
    if config.join_existing || has_log || *membership != ClusterMembership::default() {
        return None;
    }
    // All founders must write the same, and none knows the others' incarnations. A lone one does.
    let is_alone = config.initial_cluster.len() == 1;
    let founders: BTreeMap<u64, Peer> = founder_ids(config)
        .map(|(id, urls)| {
            let incarnation = is_alone.then_some(identity.incarnation.0);
            (id.0, Peer { peer_urls: urls.clone(), becomes_voter: true, incarnation })
        })
        .collect();
    let ids: Vec<MemberId> = founders.keys().map(|id| MemberId(*id)).collect();
    (cluster_id(&ids) == identity.cluster_id && founders.contains_key(&identity.member_id.0))
        .then_some(founders)
}

/// The ids this member has as a founder.
pub(crate) fn founder_identity(config: &Config) -> (u64, MemberId) {
    let ids: Vec<MemberId> = founder_ids(config).map(|(id, _)| id).collect();
    (cluster_id(&ids), founder_id(&config.advertise_peer_urls, &config.initial_cluster_token))
}

fn founder_ids(config: &Config) -> impl Iterator<Item = (MemberId, &Vec<String>)> {
    config
        .initial_cluster
        .iter()
        .map(|(_, urls)| (founder_id(urls, &config.initial_cluster_token), urls))
}

/// The peer URLs of everybody else.
fn peers(config: &Config) -> Vec<String> {
    config
        .initial_cluster
        .iter()
        .flat_map(|(_, urls)| urls)
        .filter(|url| !config.advertise_peer_urls.contains(url))
        .cloned()
        .collect()
}

fn sorted(urls: &[String]) -> Vec<String> {
    let mut urls = urls.to_vec();
    urls.sort_unstable();
    urls
}
