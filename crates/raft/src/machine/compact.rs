//! Physical compaction, a step at a time.

use storage::Batch;
use store::Change;

use super::state::MachineState;
use crate::log::to_position;

impl MachineState {
    /// Removes at most `rows_max` rows that no revision still readable needs. Returns whether more
    /// are left. The rows leave the database with the next batch; what a crash undoes is found
    /// again at the next start. Blocks; may be called from any thread.
    ///
    /// Nothing is applied meanwhile. Otherwise rows could be removed that have not reached the
    /// database yet, and come back; and the batch would carry a position older than rows that are
    /// in the database, which a restart would then apply a second time.
    pub(crate) fn compact_step(&self, rows_max: usize) -> bool {
        let _nothing_is_applied = self.changing.lock();
        let Some(applied) = self.applied() else { return false };
        let mut changes: Vec<Change> = Vec::new();
        let more = self.store.compact_step(rows_max, &mut changes);
        if !changes.is_empty() {
            let position = to_position(applied);
            self.backend.enqueue(Batch { position, membership: None, changes });
        }
        more
    }
}
