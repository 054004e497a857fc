//! What the agent is told, and what it is asked.

use std::future::Future;
use std::pin::Pin;

use api::Error;
use bytes::Bytes;
use store::{Change, MemberId};

/// A boxed answer that arrives later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Bytes, Error>> + Send + 'a>>;

/// The agent's side of the consensus layer.
pub trait Hooks: Send + Sync + 'static {
    /// A batch of commands was applied: called in log order on the apply task, so it must be quick
    /// and never block. The rows can be read from the database already.
    fn applied(&self, changes: &[Change], current_revision: i64);

    /// The store was replaced by a snapshot: whatever was derived from single changes starts over.
    fn replaced(&self);

    /// Another member (or this one) asks something only the leader's agent knows, such as the
    /// remaining time of a lease. `method` is the agent's own number below
    /// [`crate::RESERVED_METHODS`].
    fn call(&self, from: MemberId, method: u8, payload: Bytes) -> Answer<'_>;

    /// The member cannot go on; the process must end and be restarted by its supervisor. `reason`
    /// is one line for a person.
    fn fatal(&self, reason: &str);
}
