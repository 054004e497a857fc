//! Applying committed entries.

use std::io;

use api::Error;
use futures::{Stream, TryStreamExt};
use openraft::EntryPayload;
use openraft::storage::{ApplyResponder, EntryResponder};
use storage::Batch;
use store::{Change, Command, MemberId, Op, Outcome, Reply};

use super::snapshot::blocking;
use super::state::MachineState;
use crate::codec::Wire;
use crate::controller::Record;
use crate::log::to_position;
use crate::types::{LogId, Membership, StoredMembership, TypeConfig};

/// Commands applied under one hold of the store's lock; readers get their turn in between.
const COMMANDS_PER_LOCK: usize = 256;

/// A record that came too late.
const OVERTAKEN: &str = "etcdserver: another membership operation was recorded first";

/// Bytes of commands after which they are applied, however few they are.
const COMMAND_BYTES_PER_LOCK: usize = 4 << 20;

/// An entry that changes what is stored of the members.
enum Special {
    Membership(Membership),
    Record(Command),
}

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
                EntryPayload::Normal(command)
                    if matches!(command.op(), Op::MembershipRecord(_)) =>
                {
                    self.apply_commands(&mut pending, Some(Special::Record(command)))?;
                }
                EntryPayload::Normal(command) => {
                    pending.bytes += command.encoded().len();
                    pending.commands.push(command);
                }
                EntryPayload::Membership(membership) => {
                    self.apply_commands(&mut pending, Some(Special::Membership(membership)))?;
                }
            }
            if pending.is_full() {
                self.apply_commands(&mut pending, None)?;
            }
        }
        self.apply_commands(&mut pending, None)
    }

    /// Applies what is pending, then the entry about the membership that came last, if one did.
    fn apply_commands(&self, pending: &mut Pending, special: Option<Special>) -> io::Result<()> {
        let Some(last) = pending.last.take() else { return Ok(()) };
        let is_special = special.is_some();
        let mut recorded = None;
        let mut outcomes: Vec<Outcome> = Vec::with_capacity(pending.commands.len());
        let mut changes: Vec<Change> = Vec::with_capacity(pending.commands.len());
        {
            let _no_compaction =
                self.changing.try_lock().unwrap_or_else(|| blocking(|| self.changing.lock()));
            self.store
                .apply(&pending.commands, &mut outcomes, &mut changes)
                .map_err(io::Error::other)?;
            // After the commands, as in the log: one of them may be of a member that now leaves.
            let membership = match special {
                None => None,
                Some(Special::Membership(membership)) => {
                    Some(self.advance_membership(last, membership, &mut changes))
                }
                Some(Special::Record(command)) => {
                    let (outcome, stored) = self.apply_record(&command)?;
                    recorded = Some((command, outcome));
                    Some(stored)
                }
            };
            // The store keeps the rows of this slice in memory until they are with the database.
            let position = to_position(last);
            self.hand_over(Batch { position, membership, changes: changes.clone() });
            if !changes.is_empty() {
                self.hooks.applied(&changes, self.store.current_revision());
            }
            self.advance(last);
        }
        if is_special {
            self.membership_applied.notify_one();
            self.members_to_tend.notify_one();
        }
        pending.bytes = 0;
        for (command, outcome) in pending.commands.drain(..).zip(outcomes) {
            self.waiters.complete(command.id(), outcome);
        }
        if let Some((command, outcome)) = recorded {
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

    /// Changes the open operation and returns what the proposer is told and what is stored of it.
    fn apply_record(&self, command: &Command) -> io::Result<(Outcome, bytes::Bytes)> {
        let Op::MembershipRecord(body) = command.op() else {
            return Err(io::Error::other("a command taken for a membership record is none"));
        };
        let record = Record::parse(&mut body.clone()).map_err(io::Error::other)?;
        let mut current = self.membership.write();
        let outcome = if current.record(record) {
            Ok(Reply::Empty)
        } else {
            Err(Error::Unavailable(OVERTAKEN.to_owned()))
        };
        Ok((outcome, current.to_bytes()))
    }

    /// Takes over a membership and returns what is stored of it.
    fn advance_membership(
        &self,
        log_id: LogId,
        membership: Membership,
        changes: &mut Vec<Change>,
    ) -> bytes::Bytes {
        let mut current = self.membership.write();
        let attributes = self.store.read(|store| store.members());
        let name_of = |id: MemberId| {
            attributes.iter().find(|known| known.member == id).map(|known| known.name.clone())
        };
        current.advance(StoredMembership::new(Some(log_id), membership), name_of);
        let keep: Vec<MemberId> = current.stored.nodes().map(|(id, _)| MemberId(*id)).collect();
        self.store.members_retain(&keep, changes);
        current.to_bytes()
    }
}
