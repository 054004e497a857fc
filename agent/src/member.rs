//! What every call has at hand: the replicated store, the limits, the counters.

use std::sync::Arc;

use api::Error;
use api::etcdserverpb::ResponseHeader;
use raft::{Leadership, Node};
use store::{Command, CommandKind, Outcome, SharedStore};
use tokio::sync::{Semaphore, watch};
use tonic::Code;

use crate::hooks::Standing;
use crate::lease::LeaseBook;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::quota::Quota;
use crate::server::status::Failure;
use crate::watch::{Hub, WatchService};

/// Range requests and hashes that work through many rows at the same time, on blocking threads;
/// the next ones wait.
const LONG_READS_MAX: usize = 4;

/// This member as the services see it.
pub struct Member {
    /// The replicated state machine.
    pub node: Node,
    /// The node's store, for reads.
    pub store: Arc<SharedStore>,
    /// Sizes and times the operator chose.
    pub limits: Limits,
    /// What changes with the log: alarms, room.
    pub standing: Arc<Standing>,
    /// Deadlines of leases while this member leads.
    pub leases: Arc<LeaseBook>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Room left for writes.
    pub quota: Quota,
    /// Bounds reads on blocking threads.
    pub long_reads: Arc<Semaphore>,
    /// Opens watch streams.
    pub watch: WatchService,
    /// Who watches.
    pub watchers: Arc<Hub>,
    /// Turns true when the member stops: no new requests, streams end.
    pub stop: watch::Sender<bool>,
    leadership: watch::Receiver<Leadership>,
    cluster_id: u64,
    member_id: u64,
}

/// What is made before the node and told what the log brings.
#[derive(Clone)]
pub struct Parts {
    /// See [`Member::standing`].
    pub standing: Arc<Standing>,
    /// See [`Member::leases`].
    pub leases: Arc<LeaseBook>,
    /// See [`Member::metrics`].
    pub metrics: Arc<Metrics>,
    /// See [`Member::watchers`].
    pub watchers: Arc<Hub>,
}

impl Member {
    /// Puts the parts together around a running node.
    pub fn new(node: Node, limits: Limits, parts: Parts, watch: WatchService) -> Self {
        Self {
            store: node.store().clone(),
            quota: Quota::new(limits.quota_bytes),
            long_reads: Arc::new(Semaphore::new(LONG_READS_MAX)),
            leadership: node.leadership(),
            cluster_id: node.cluster_id(),
            member_id: node.member_id().0,
            node,
            limits,
            standing: parts.standing,
            leases: parts.leases,
            metrics: parts.metrics,
            watchers: parts.watchers,
            watch,
            stop: watch::Sender::new(false),
        }
    }

    /// Waits until the member stops.
    pub async fn stopped(&self) {
        // The sender lives as long as this value.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }

    /// Whether this member knows a leader.
    pub fn has_leader(&self) -> bool {
        self.leadership.borrow().leader.is_some()
    }

    /// Whether this member has no vote.
    pub fn is_learner(&self) -> bool {
        self.node.status().is_learner
    }

    /// Whether log and database can still grow.
    pub fn disk_has_room(&self) -> bool {
        self.node.log().has_room() && self.node.backend().health() == storage::Health::Good
    }

    /// Who answers, at which revision and term.
    pub fn header(&self) -> ResponseHeader {
        self.header_at(self.store.current_revision())
    }

    /// As [`Self::header`] for an answer that carries no revision (etcd-surface 1.3).
    pub fn header_at(&self, revision: i64) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.cluster_id,
            member_id: self.member_id,
            revision,
            raft_term: self.leadership.borrow().term,
        }
    }

    /// Fills in what the state machine cannot know: it is the same on every member.
    pub fn complete(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header_at(revision));
    }

    /// Proposes a client's command and waits until it is applied here.
    ///
    /// # Errors
    /// What applying it answers, and those of a proposal.
    pub async fn propose(&self, command: Command) -> Outcome {
        let outcome = self.node.propose_command(command).await;
        if outcome.as_ref().is_err_and(|error| error.code() == Code::Unavailable) {
            self.metrics.proposal_failed();
        }
        outcome
    }

    /// This member's id, as it stands on the wire.
    pub fn id(&self) -> u64 {
        self.member_id
    }

    /// Makes a command of a client's request.
    ///
    /// # Errors
    /// `Internal` when the request does not parse, as grpc-go has it; `RequestTooLarge`.
    pub fn command(&self, kind: CommandKind, raw: &[u8]) -> Result<Command, Failure> {
        let command = Command::from_request(self.node.next_command_id(), kind, raw)
            .map_err(|error| unparsable(&error))?;
        if command.encoded().len() > self.limits.request_bytes_max {
            return Err(Error::RequestTooLarge.into());
        }
        Ok(command)
    }
}

/// grpc-go's answer to bytes that are not the message they should be.
pub fn unparsable(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Code::Internal, format!("grpc: error unmarshalling request: {error}"))
}

/// Reads a request message.
///
/// # Errors
/// `Internal` when the bytes do not parse.
pub fn decode<M: prost::Message + Default>(raw: bytes::Bytes) -> Result<M, Failure> {
    M::decode(raw).map_err(|error| unparsable(&error))
}
