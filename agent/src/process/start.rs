//! Starts the parts of a member in order, and stops them in the opposite one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use raft::{LeaveError, Node};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::joining::{self, Joined};
use super::{addresses, publish, settings};
use crate::config::Config;
use crate::hooks::{AgentHooks, Standing};
use crate::lease::LeaseBook;
use crate::life::{Life, State};
use crate::member::{Member, Parts};
use crate::metrics::Metrics;
use crate::server::listener::{Acceptor, DRAIN_MAX, Port};
use crate::server::threads::ConnectionThreads;
use crate::watch::{Hub, WatchService};
use crate::watch_call::MemberSource;
use crate::{compactor, leader, lease, notify, quota};

/// Connections that were cut off have this long to let go of the member.
const LET_GO_MAX: Duration = Duration::from_millis(500);

/// Log lines that other tools wait for have etcd's words (etcd-surface 5.1).
const READY: &str = "ready to serve client requests";

/// A member that serves.
pub struct Running {
    member: Arc<Member>,
    life: Arc<Life>,
    fatal: watch::Receiver<Option<String>>,
    acceptors: JoinSet<()>,
    tasks: JoinSet<()>,
    addresses: Vec<SocketAddr>,
}

/// What starting came to.
pub enum Started {
    /// The member serves.
    Serving(Running),
    /// The member has left its cluster; there is nothing to serve.
    Left,
}

/// Starts a member whose client connections are served by `threads`; first gets it a place in a
/// cluster when it is to join by itself. Dropping the future before that is through leaves the data
/// directory as a crash would: in order.
///
/// # Errors
/// One line that says what is wrong and what to do.
pub async fn start(
    config: Config,
    threads: ConnectionThreads,
    life: Arc<Life>,
) -> anyhow::Result<Started> {
    // Sockets first: a port in use must not leave a trace in the data directory.
    let clients = addresses::open(&config.urls.listen_client, &config.urls).await?;
    let metrics = addresses::open(&config.urls.listen_metrics, &config.urls).await?;
    let peers = addresses::open(&config.urls.listen_peer, &config.urls).await?;

    let parts = Parts {
        standing: Arc::new(Standing::default()),
        leases: Arc::new(LeaseBook::default()),
        metrics: Arc::new(Metrics::new(config.extensive_metrics)),
        watchers: Arc::new(Hub::new(settings::watching(&config))),
    };
    let (fatal_sender, fatal) = watch::channel(None);
    let hooks = Arc::new(AgentHooks::new(parts.clone(), fatal_sender.clone()));
    let raft = settings::raft(&config, peers, parts.metrics.disk.observers());
    if config.join.is_some()
        && notify::while_starting(joining::join(&raft, &life)).await? == Joined::Left
    {
        return Ok(Started::Left);
    }
    life.enter(State::Starting, "");
    let node = Node::start(raft, hooks.clone()).await.context("cannot start")?;
    hooks.attach(node.store().clone());

    let source = MemberSource::new(node.clone(), move |reason| {
        fatal_sender.send_if_modified(|known| known.replace(reason).is_none());
    });
    let source = Arc::new(source);
    let watch_service = WatchService::new(parts.watchers.clone(), source.clone());
    let member = Member::new(node, settings::limits(&config), parts, watch_service);
    let member = Arc::new(member);
    tracing::info!(
        name = config.name,
        member = %member.node.member_id(),
        cluster = format!("{:x}", member.node.cluster_id()),
        data_dir = %config.data_dir.display(),
        "started"
    );

    life.set_member(Some(member.clone()));
    let mut tasks = JoinSet::new();
    tasks.spawn(member.watchers.clone().run(source));
    spawn_duties(&mut tasks, &member, &config);
    let acceptor = Acceptor::new(member.clone(), Arc::new(threads));
    let mut acceptors = JoinSet::new();
    let addresses = clients.iter().filter_map(|listener| listener.local_addr().ok()).collect();
    listen(&mut acceptors, &acceptor, clients, Port::Clients);
    listen(&mut acceptors, &acceptor, metrics, Port::Metrics);
    tasks.spawn(announce(member.clone(), life.clone(), config));
    Ok(Started::Serving(Running { member, life, fatal, acceptors, tasks, addresses }))
}

fn spawn_duties(tasks: &mut JoinSet<()>, member: &Arc<Member>, config: &Config) {
    let steps = compactor::Steps {
        rows_max: config.tuning.compaction_rows_max,
        pause: config.tuning.compaction_pause,
    };
    tasks.spawn(compactor::run_physical(member.clone(), steps));
    tasks.spawn(compactor::run_auto(member.clone(), config.auto_compaction));
    tasks.spawn(lease::run_expiry(member.clone()));
    tasks.spawn(lease::run_takeover(member.clone()));
    tasks.spawn(leader::run(member.clone()));
    tasks.spawn(quota::run_clearing(member.clone()));
}

fn listen(tasks: &mut JoinSet<()>, acceptor: &Acceptor, listeners: Vec<TcpListener>, port: Port) {
    for listener in listeners {
        if let Ok(address) = listener.local_addr() {
            tracing::info!(%address, ?port, "listening");
        }
        tasks.spawn(acceptor.clone().run(listener, port));
    }
}

async fn announce(member: Arc<Member>, life: Arc<Life>, config: Config) {
    let client_urls = settings::texts(&config.urls.advertise_client);
    let publishing = publish::publish(member, config.name, client_urls);
    match config.join {
        // One that operates itself waits for its quorum as long as it takes.
        Some(_) => notify::while_starting(publishing).await,
        None => publishing.await,
    }
    life.serves();
    tracing::info!("{READY}");
    notify::ready();
}

impl Running {
    /// Where clients are served; the system has chosen the ports that were left open.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until the member cannot go on and says why.
    pub async fn fatal(&self) -> String {
        match self.fatal.clone().wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the consensus layer has ended".to_owned(),
        }
    }

    /// Gives this member's place in the cluster up; afterwards there is nothing left but to stop.
    ///
    /// # Errors
    /// When the cluster does not let it go; the member serves on then.
    pub async fn leave(&self) -> Result<(), LeaveError> {
        self.member.node.leave().await
    }

    /// Stops in order: no new requests, those in progress are answered, leadership is handed over,
    /// everything applied is on disk and closed.
    pub async fn stop(mut self) {
        self.life.set_member(None);
        self.member.stop.send_replace(true);
        self.member.watchers.stop();
        let drained = async {
            while self.acceptors.join_next().await.is_some() {}
            // Every connection holds a receiver until it ends.
            self.member.stop.closed().await;
        };
        if tokio::time::timeout(DRAIN_MAX + LET_GO_MAX, drained).await.is_err() {
            tracing::info!("requests still in progress are cut off");
        }
        self.tasks.shutdown().await;
        self.member.node.shutdown().await;
    }
}
