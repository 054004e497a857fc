//! The charm's hooks: gather, decide, apply, report.
//!
//! Each hook is a small program over [`reconcile`], which serves them all: it gathers the
//! [`Facts`](facts::Facts) (hook tools, the agent's admin socket, files), [decides](decide) by pure
//! functions, [applies](apply) steps that can be repeated from any point, and
//! [publishes](publish) what came of it. A hook fails only for surprises; what a person typed and
//! members that are down end up in the status.
//!
//! Must never: found a cluster that nobody committed to, start a member that has left, remove a
//! member because something did not answer, or delete data.
//!
//! Called by the programs in `src/bin` and, for the parts that ask the agent, by the actions.

pub mod agent;
pub mod apply;
pub mod clock;
pub mod command;
pub mod databag;
pub mod decide;
mod error;
pub mod facts;
pub mod files;
mod gather;
pub mod limits;
pub mod notes;
pub mod options;
pub mod paths;
pub mod publish;
pub mod report;
pub mod restart;
pub mod rollback;
mod run;
pub mod service;
pub mod settings;
pub mod software;
#[cfg(test)]
mod tests;

pub use error::Error;
pub use run::{Unit, reconcile, run};
