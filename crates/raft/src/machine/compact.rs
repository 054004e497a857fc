//! Physical compaction, a step at a time.

use storage::Batch;
use store::Change;

use super::state::MachineState;

impl MachineState {
    /// Removes at most `rows_max` rows that no revision still readable needs. Returns whether more
    /// are left. The rows leave the database with the next batch; what a crash undoes is found
    /// again at the next start.
    pub(crate) fn compact_step(&self, rows_max: usize) -> bool {
        let mut changes: Vec<Change> = Vec::new();
        let more = self.store.compact_step(rows_max, &mut changes);
        if let (false, Some(position)) = (changes.is_empty(), self.backend.position()) {
            self.backend.enqueue(Batch { position, membership: None, changes });
        }
        more
    }
}
