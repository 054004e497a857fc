//! Juju's hook tools as a typed API, and the environment a hook runs in.
//!
//! Hooks and actions call this crate; it calls the tools that the Juju agent puts on `PATH`, one
//! process per call, and nothing else of the workspace. It must never guess: a tool that is
//! missing, fails, hangs or answers something unexpected is an [`Error`] that carries the tool's
//! own words. It must never put a secret on a command line, and it remembers nothing between two
//! calls: what a tool says now is what the caller gets. Everything is synchronous, because a hook
//! is; every call has a time limit and a bound on the bytes it takes in.
//!
//! - [`Environment`]: who runs (unit, model, machine), which [`Hook`] and in what context.
//! - [`Tools`]: the hook tools as methods; each says which command line it sends.
//! - [`UnitName`], [`RelationId`], [`StorageId`], [`SecretId`], [`Version`], [`Port`]: Juju's names
//!   as types that were checked once.
//! - [`Values`]: a charm's configuration ([`Config`]) or an action's parameters ([`Parameters`]).
//!
//! Contracts come from the tools of Juju 2.9, 3.6 and 4.0; argument forms are the ones that Juju's
//! own Python library sends, since those are the ones every Juju is tested with.

mod call;
mod environment;
mod error;
mod hook;
mod names;
mod process;
mod tools;
mod values;
mod version;

pub use environment::{
    ActionContext, Environment, EnvironmentError, Model, Proxies, RelationContext, SecretContext,
    StorageContext,
};
pub use error::{Error, Result};
pub use hook::{Hook, RelationEvent, SecretEvent, StorageEvent};
pub use names::{ParseError, RelationId, SecretId, StorageId, UnitName};
pub use tools::{
    AddressKind, ApplicationStatus, Bag, CALL_TIME_MAX, Changes, Goal, GoalState, Interface,
    InterfaceAddress, Level, MESSAGE_CHARS_MAX, Network, OUTPUT_BYTES_MAX, Port, Protocol,
    RESOURCE_TIME_MAX, RESULT_BYTES_MAX, Reboot, ReportedStatus, Rotation, Scope, SecretContent,
    SecretInfo, SecretOptions, SecretRef, SecretView, Status, Storage, Tools,
};
pub use values::{Config, Parameters, Values};
pub use version::Version;
