//! openraft's own storage suite over our log and state machine.

use std::path::Path;
use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use storage::{Backend, BackendOptions, Log, LogOptions};
use store::{MemberId, SharedStore};
use tempfile::TempDir;

use crate::hooks::{Answer, Hooks};
use crate::log::LogStore;
use crate::machine::{Machine, MachineState, stored_membership};
use crate::snapshot_trigger::SnapshotTrigger;
use crate::types::TypeConfig;
use crate::waiters::Waiters;

pub(crate) struct NoHooks;

impl Hooks for NoHooks {
    fn applied(&self, _: &[store::Change], _: i64) {}
    fn replaced(&self) {}
    fn call(&self, _: MemberId, _: u8, _: bytes::Bytes) -> Answer<'_> {
        Box::pin(std::future::ready(Err(api::Error::Stopped)))
    }
    fn fatal(&self, reason: &str) {
        panic!("{reason}");
    }
}

/// A member's log and state machine in a directory, without its network.
pub(crate) fn parts(directory: &Path, hooks: Arc<dyn Hooks>) -> (LogStore, Arc<MachineState>) {
    let (log, state) = Log::open(LogOptions::new(directory.join("wal"))).expect("a log");
    let backend = Backend::open(BackendOptions::new(directory.join("db"))).expect("a database");
    let options = store::Options { value_bytes_max: u64::MAX, max_txn_ops: 128 };
    let store = backend.load(options.clone()).expect("our own database");
    let trigger = Arc::new(SnapshotTrigger::new(u64::MAX, 0));
    let machine = MachineState::new(
        Arc::new(SharedStore::new(store, Arc::new(backend.clone()))),
        options,
        backend.clone(),
        Waiters::new(MemberId(1)),
        hooks,
        stored_membership(backend.membership()).expect("our own membership"),
        trigger.clone(),
    );
    (LogStore::new(log, &state, trigger).expect("our own vote"), Arc::new(machine))
}

struct Builder;

impl StoreBuilder<TypeConfig, LogStore, Machine, TempDir> for Builder {
    async fn build(&self) -> Result<(TempDir, LogStore, Machine), StorageError<TypeConfig>> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (log_store, machine) = parts(directory.path(), Arc::new(NoHooks));
        Ok((directory, log_store, Machine(machine)))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_adapters_pass_openrafts_storage_suite() {
    Suite::test_all(Builder).await.expect("every case of the suite");
}
