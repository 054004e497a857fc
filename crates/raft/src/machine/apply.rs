//! Applying committed entries.

use std::io;

use futures::{Stream, TryStreamExt};
use openraft::EntryPayload;
use openraft::storage::{ApplyResponder, EntryResponder};
use storage::Batch;
use store::{Change, Command, MemberId, Outcome};

use super::snapshot::blocking;
use super::state::MachineState;
use crate::codec::Wire;
use crate::log::to_position;
use crate::types::{LogId, Membership, StoredMembership, TypeConfig};

/// Commands applied under one hold of the store's lock; readers get their turn in between.
const COMMANDS_PER_LOCK: usize = 256;

/// Bytes of commands after which they are applied, however few they are.
const COMMAND_BYTES_PER_LOCK: usize = 4 << 20;

/// What has been taken from the stream and is applied together.
#[derive(Default)]
struct Pending {
    last: Option<LogId>,
    commands: Vec<Command>,
    bytes: usize,
    responders: Vec<ApplyResponder<TypeConfig>>,
}

impl Pending {
    fn is_full(&self) -> bool {
        self.commands.len() >= COMMANDS_PER_LOCK || self.bytes >= COMMAND_BYTES_PER_LOCK
    }
}

impl MachineState {
    /// Applies entries in order until the stream ends.
    pub(super) async fn apply_all<S>(&self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>, io::Error>> + Unpin,
    {
        let mut pending = Pending::default();
        while let Some((entry, responder)) = entries.try_next().await? {
            pending.last = Some(entry.log_id);
            pending.responders.extend(responder);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    pending.bytes += command.encoded().len();
                    pending.commands.push(command);
                }
                EntryPayload::Membership(membership) => {
                    self.apply_commands(&mut pending, Some(membership))?;
                }
            }
            if pending.is_full() {
                self.apply_commands(&mut pending, None)?;
            }
        }
        self.apply_commands(&mut pending, None)
    }

    /// Applies what is pending, then the membership entry that came last, if one did.
    fn apply_commands(
        &self,
        pending: &mut Pending,
        membership: Option<Membership>,
    ) -> io::Result<()> {
        let Some(last) = pending.last.take() else { return Ok(()) };
        let is_membership = membership.is_some();
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(pending.commands.len());
        let mut changes: Vec<Change> = Vec::with_capacity(pending.commands.len());
        {
            let _no_compaction =
                self.changing.try_lock().unwrap_or_else(|| blocking(|| self.changing.lock()));
            self.store
                .apply(&pending.commands, &mut outcomes, &mut changes)
                .map_err(io::Error::other)?;
            // After the commands, as in the log: one of them may be of a member that now leaves.
            let membership = membership
                .map(|membership| self.advance_membership(last, membership, &mut changes));
            // The store keeps the rows of this slice in memory until they are with the database.
            let position = to_position(last);
            self.hand_over(Batch { position, membership, changes: changes.clone() });
            if !changes.is_empty() {
                self.hooks.applied(&changes, self.store.current_revision());
            }
            self.advance(last);
        }
        if is_membership {
            self.membership_applied.notify_one();
        }
        pending.bytes = 0;
        for (command, outcome) in pending.commands.drain(..).zip(outcomes) {
            self.waiters.complete(command.id(), outcome);
        }
        pending.responders.drain(..).for_each(|responder| responder.send(()));
        Ok(())
    }

    /// Gives a batch to the database. A database that cannot keep up, or has no room left on its
    /// disk, holds up the applying, but not the heartbeats that share its thread.
    fn hand_over(&self, batch: Batch) {
        if self.backend.has_room_for(&batch) {
            self.backend.enqueue(batch);
        } else {
            blocking(|| self.backend.enqueue(batch));
        }
    }

    /// Takes over a membership and returns what is stored of it.
    fn advance_membership(
        &self,
        log_id: LogId,
        membership: Membership,
        changes: &mut Vec<Change>,
    ) -> bytes::Bytes {
        let mut current = self.membership.write();
        current.advance(StoredMembership::new(Some(log_id), membership));
        let keep: Vec<MemberId> = current.stored.nodes().map(|(id, _)| MemberId(*id)).collect();
        self.store.members_retain(&keep, changes);
        current.to_bytes()
    }
}
