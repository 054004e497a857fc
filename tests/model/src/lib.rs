//! A stand-in for Juju: plays one model with applications, units, machines, relations, storage,
//! secrets, config, leadership and actions, and runs the real hook and action executables of an
//! unpacked charm with an environment built from nothing.
//!
//! Its machines are directories ([`Model::root`], told to the hooks as `QUORATE_CHARM_ROOT`) with
//! a loopback address each, so that every machine can use the same ports, and an init that runs
//! systemd units as real processes. It must never touch the machine outside its own directory,
//! loopback, and its own processes. Test suites call it, and a person through `quorate-model`.
//!
//! - [`Model`] - what `juju` does: deploy, relate, config, run, and the course of time:
//!   [`Model::step`], [`Model::settle`]
//! - [`Options`], [`Version`] - the seed and the Juju that is played
//! - [`Fault`] - what goes wrong in the middle of a hook
//! - [`ModelStatus`], [`Entry`], [`Outcome`] - what can be seen
//!
//! What it plays, and where Juju knows no order so that the seed decides, follows the published
//! behaviour of Juju 2.9, 3.6 and 4.0. Known differences: retries follow at once and are bounded,
//! the lease of a dead leader ends at once, and a machine's wildcard address (`0.0.0.0`) is its
//! own loopback address.

mod busy;
mod charm;
mod context;
mod error;
mod init;
mod journal;
mod machine;
mod model;
mod random;
mod run;
mod schema;
mod server;
mod state;
mod status;
mod storage;
mod system;
mod tools;
mod uniter;
mod unpack;
mod version;
mod wire;

pub use error::{Error, Result};
pub use init::machine_init;
pub use journal::{End, Entry, Fault, FaultKind};
pub use model::{Model, Options, Outcome};
pub use state::{Bag, Status};
pub use status::{AppStatus, ModelStatus, UnitStatus};
pub use system::system_tool;
pub use version::Version;
pub use wire::hook_tool;
