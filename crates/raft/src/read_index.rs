//! Linearizable reads: one question to the leader at a time, everyone else joins the next.
//!
//! Every attempt is a question of its own: an answer that was on its way before a pause or a change
//! of leader can satisfy only those who asked before it was asked (etcd issue 20418).

use std::sync::Arc;
use std::time::Duration;

use api::Error;
use bytes::Bytes;
use openraft::ReadPolicy;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::codec::Wire;
use crate::node::Shared;
use crate::peer::Kind;

/// Reads that may wait for their turn.
const READS_QUEUED_MAX: usize = 65_536;

/// One question's time; then it is asked again, as etcd does every 500 ms.
const ATTEMPT_TIMEOUT: Duration = Duration::from_millis(500);

/// Pause after a question nobody could answer.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

type Waiting = oneshot::Sender<Result<(), Error>>;

/// Where reads line up.
#[derive(Clone)]
pub(crate) struct ReadIndex {
    queue: mpsc::Sender<Waiting>,
}

impl ReadIndex {
    /// The queue and the task that serves it; the task ends with the last queue.
    pub(crate) fn new() -> (Self, ReadIndexTask) {
        let (queue, waiting) = mpsc::channel(READS_QUEUED_MAX);
        (Self { queue }, ReadIndexTask { waiting })
    }

    /// Returns when everything written before the call has been applied here.
    pub(crate) async fn wait(&self) -> Result<(), Error> {
        let (sender, receiver) = oneshot::channel();
        self.queue.try_send(sender).map_err(|_| Error::TooManyRequests)?;
        receiver.await.unwrap_or(Err(Error::Stopped))
    }
}

/// The serving side of [`ReadIndex`].
pub(crate) struct ReadIndexTask {
    waiting: mpsc::Receiver<Waiting>,
}

impl ReadIndexTask {
    pub(crate) async fn run(mut self, shared: Arc<Shared>) {
        let mut batch = Vec::new();
        while self.waiting.recv_many(&mut batch, READS_QUEUED_MAX).await > 0 {
            let result = shared.linearize().await;
            for waiting in batch.drain(..) {
                // The client may have given up.
                let _ = waiting.send(result.clone());
            }
        }
    }
}

impl Shared {
    /// Asks until the leader answers, then waits until its answer is applied here.
    async fn linearize(&self) -> Result<(), Error> {
        let deadline = Instant::now() + self.request_timeout;
        let index = loop {
            match tokio::time::timeout(ATTEMPT_TIMEOUT, self.ask_read_index()).await {
                Ok(Ok(index)) => break index,
                Ok(Err(Error::Stopped)) => return Err(Error::Stopped),
                Ok(Err(_)) => tokio::time::sleep(RETRY_PAUSE).await,
                Err(_) => {}
            }
            if Instant::now() >= deadline {
                return Err(Error::Timeout);
            }
        };
        let machine = &self.local.machine;
        if machine.applied_index() >= Some(index) {
            return Ok(());
        }
        tokio::time::timeout_at(deadline, machine.wait_applied(index))
            .await
            .map_err(|_| Error::TimeoutWaitAppliedIndex)
    }

    /// One question, here or to the leader.
    async fn ask_read_index(&self) -> Result<u64, Error> {
        let leader = self.wait_for_leader().await;
        if leader == self.local.member {
            return self.leader_read_index().await;
        }
        let mut answer = self
            .pool
            .requests(leader)
            .request(Kind::ReadIndex, Bytes::new(), ATTEMPT_TIMEOUT)
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))?;
        u64::parse(&mut answer).map_err(|error| Error::Internal(error.to_string()))
    }

    /// The index a read has to wait for, after making sure that this member still leads.
    pub(crate) async fn leader_read_index(&self) -> Result<u64, Error> {
        match self.raft.get_read_log_id(ReadPolicy::ReadIndex).await {
            Ok((read, _)) => Ok(read.index()),
            Err(openraft::errors::RaftError::Fatal(_)) => Err(Error::Stopped),
            Err(_) => Err(Error::NotLeader),
        }
    }
}
