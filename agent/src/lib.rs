//! The member: everything the binary `quorate` is made of.
//!
//! It serves clients, decides when leases end and when history goes, and starts and stops the
//! parts; what is stored and how members agree is the business of the crates below. Nothing here
//! may change replicated state but by proposing a command.
//!
//! - [`config`]: command line, environment and file, checked and typed
//! - [`logging`]: log lines to their sinks, without ever waiting for one
//! - [`process`]: start, signals, stop
//! - [`server`]: the client port, from socket to call
//! - [`kv`], [`lease`], [`cluster`], [`maintenance`], [`watch`]: the services
//! - [`admin`]: the socket for whoever operates this member, and the command that asks it
//! - [`life`]: what the process is doing, before, with and after its member
//! - [`turn`]: one member at a time
//! - [`http`]: health, version, metrics
//! - [`health_service`]: the same question as gRPC's own tools ask it
//! - [`compactor`]: history that is given up
//! - [`member`]: what all of them have at hand

pub mod admin;
pub mod cluster;
pub mod compactor;
pub mod config;
mod fault;
mod gate;
pub mod health_service;
pub mod hooks;
pub mod http;
pub mod kv;
pub mod leader;
pub mod lease;
pub mod life;
pub mod limits;
pub mod logging;
pub mod maintenance;
pub mod member;
pub mod metrics;
mod notify;
pub mod process;
pub mod quota;
pub mod server;
pub mod turn;
pub mod watch;
pub mod watch_call;

#[cfg(test)]
mod tests;
