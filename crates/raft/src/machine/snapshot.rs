//! Snapshots: a position and a handle; bytes flow only when a follower asks.

use std::io;
use std::sync::Arc;

use openraft::storage::RaftSnapshotBuilder;
use storage::{LogPosition, SnapshotReader, SnapshotWriter};
use tokio::sync::oneshot;

use super::membership::ClusterMembership;
use super::state::MachineState;
use crate::codec::Wire;
use crate::log::from_position;
use crate::types::{Snapshot, SnapshotMeta, TypeConfig};

/// The two ends of a snapshot.
pub(crate) enum SnapshotData {
    /// A frozen view to stream to a follower. After a local snapshot only its position matters:
    /// the log may be purged up to it.
    Outgoing(Box<SnapshotReader>),
    /// A complete, verified database received from the leader.
    Incoming(Box<SnapshotWriter>),
}

/// Makes the state durable up to a position, so that the log before it is no longer needed.
pub(crate) struct SnapshotBuilder(pub(super) Arc<MachineState>);

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotData;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        self.0.frozen_view().await
    }
}

impl MachineState {
    /// Everything applied is on disk when this returns; the position it reaches.
    pub(crate) async fn flush(&self) -> io::Result<Option<LogPosition>> {
        let (sender, receiver) = oneshot::channel();
        self.backend.flush(Box::new(move |result| {
            let _ = sender.send(result);
        }));
        match receiver.await {
            Ok(result) => result.map_err(io::Error::other),
            Err(_) => Err(io::Error::other("the database thread has stopped")),
        }
    }

    /// A frozen view for a follower, `None` before anything was applied.
    pub(super) async fn current_snapshot(&self) -> io::Result<Option<Snapshot>> {
        if self.applied().is_none() {
            return Ok(None);
        }
        self.frozen_view().await.map(Some)
    }

    /// The log may be purged up to the position of the view, so all of it must be synced. What is
    /// committed between the first sync and the opening of the view is not, hence the second one.
    async fn frozen_view(&self) -> io::Result<Snapshot> {
        let synced = self.flush().await?;
        let reader = blocking(|| self.backend.snapshot().map_err(io::Error::other))?;
        if reader.position() > synced {
            self.flush().await?;
        }
        let meta = meta_of(&reader)?;
        Ok(Snapshot { meta, snapshot: SnapshotData::Outgoing(Box::new(reader)) })
    }

    /// Replaces the whole state by what the leader sent.
    pub(super) async fn install(
        &self,
        meta: &SnapshotMeta,
        snapshot: SnapshotData,
    ) -> io::Result<()> {
        let _no_compaction = blocking(|| self.changing.lock());
        let loaded = blocking(|| {
            let writer = match snapshot {
                SnapshotData::Incoming(writer) => *writer,
                SnapshotData::Outgoing(reader) => self.copy(*reader)?,
            };
            self.backend.install(writer).map_err(io::Error::other)?;
            self.backend.load(self.store_options.clone()).map_err(io::Error::other)
        })?;
        *self.membership.write() = stored_membership(self.backend.membership())?;
        self.store.replace(loaded);
        self.hooks.replaced();
        if let Some(last) = meta.last_log_id {
            self.advance(last);
        }
        self.membership_applied.notify_one();
        Ok(())
    }

    /// What the peer protocol does between two members, within one.
    fn copy(&self, mut reader: SnapshotReader) -> io::Result<SnapshotWriter> {
        let mut writer = self.backend.receive().map_err(io::Error::other)?;
        while let Some(chunk) = reader.next_chunk(COPY_CHUNK_BYTES).map_err(io::Error::other)? {
            writer.write(&chunk).map_err(io::Error::other)?;
        }
        writer.finish().map_err(io::Error::other)?;
        Ok(writer)
    }
}

const COPY_CHUNK_BYTES: usize = 1 << 20;

/// The position and membership a frozen view stands for.
fn meta_of(reader: &SnapshotReader) -> io::Result<SnapshotMeta> {
    Ok(SnapshotMeta {
        last_log_id: reader.position().map(from_position),
        last_membership: stored_membership(reader.membership())?.stored,
    })
}

/// Reads the blob stored beside the applied position.
pub(crate) fn stored_membership(blob: Option<bytes::Bytes>) -> io::Result<ClusterMembership> {
    blob.map_or_else(
        || Ok(ClusterMembership::default()),
        |mut bytes| ClusterMembership::parse(&mut bytes).map_err(io::Error::other),
    )
}

/// Runs something that waits for the disk without holding up the tasks of this thread.
pub(crate) fn blocking<T>(work: impl FnOnce() -> T) -> T {
    match tokio::runtime::Handle::current().runtime_flavor() {
        tokio::runtime::RuntimeFlavor::MultiThread => tokio::task::block_in_place(work),
        _ => work(),
    }
}
