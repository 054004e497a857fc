//! The charm's actions: what a person asks of one unit with `juju run`.
//!
//! Each action is a small program over [`run`]: it asks the unit's agent, says what it did, and
//! when it cannot, why and what to do. The work itself is the agent's, or [`hooks`]'s where the
//! machine is concerned. An action must never wait for a hook of its own unit: Juju runs one at a
//! time.
//!
//! Results have a text for people in `output` and flat keys for programs.

mod alarms;
mod health;
mod members;
mod outcome;
mod probe;
mod release;
mod run;
mod space;

pub use alarms::{alarm_disarm, alarm_list};
pub use health::health;
pub use members::{cluster_string, member_list};
pub use outcome::{Failure, Outcome, Results};
pub use release::rollback_release;
pub use run::{Action, run};
pub use space::{compact, defrag};
