//! Fetch, verify, unpack, switch and roll back a release of the agent.
//!
//! Two halves. [`Releases`] is the directory of unpacked releases of one unit: which one runs,
//! which one ran before, switch, roll back, tidy up. It is synchronous, small and knows no network,
//! so that hooks can use it. [`fetch()`] brings a release over http, https or from a file, checks its
//! sum and unpacks it into such a directory; only the binary `quorate-release` calls it, and nothing
//! in the first half refers to it, so the linker leaves it out of everything else.
//!
//! Must never: leave a half-written release under a name that [`Releases`] would show, write outside
//! the directory it was given, switch to something that is not there, or unpack bytes whose sum was
//! not checked (unless told so for a local file).
//!
//! Called by the charm's hooks and actions (`Releases`) and by `quorate-release` (everything).
//!
//! - [`ReleaseId`], [`Release`], [`Releases`], [`ReleaseError`]: the directory
//! - [`Sum`]: SHA-1, SHA-256 or SHA-512, told apart by length
//! - [`archive`]: what is unpacked and what is refused
//! - [`fetch`](mod@fetch): the transfer, its limits and its progress

pub mod archive;
mod error;
pub mod fetch;
mod id;
mod releases;
mod sum;

pub use error::ReleaseError;
pub use fetch::{FetchError, fetch};
pub use id::ReleaseId;
pub use releases::{Lock, Release, Releases, Switched};
pub use sum::{Sum, SumError};

/// Name of the agent's executable inside a release.
pub const EXECUTABLE: &str = "quorate";
