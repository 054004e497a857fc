//! What the product suites share: real member processes on loopback, an independent client, and
//! the judges (transcript comparison, history check).
//!
//! It never links the product: a member is a binary started with etcd's flags, so the same suite
//! runs against ours and against real etcd. The suites are the test binaries in `tests/tests`:
//! `scripts` (etcdctl, compared), `wire` (gRPC), `web` (HTTP) and `faults` (ours only).
//!
//! Environment: `QUORATE_TEST_BINARY` (the member under test), `QUORATE_TEST_REFERENCE`
//! (colon-separated paths of real etcd servers; default: `etcd` on the PATH),
//! `QUORATE_TEST_ETCDCTL` (default: `etcdctl` on the PATH), `QUORATE_EXTENDED=1` (long tests too),
//! `QUORATE_FAULT_SECONDS` (length of each crash loop).

mod client;
mod cluster;
mod diff;
mod history;
mod member;
mod normalise;
pub mod pb;
mod ports;
mod script;
mod server;
mod session;
mod suite;
mod wait;
mod web;

pub use client::{Answer, CALL_TIMEOUT, Client, Duplex, MESSAGE_TIMEOUT};
pub use cluster::{Cluster, Shape};
pub use diff::readable_diff;
pub use history::{History, Operation, Outcome, Violation};
pub use member::{Member, MemberFlags};
pub use normalise::Normaliser;
pub use ports::Port;
pub use script::{Script, ScriptError, Step};
pub use server::{Kind, Server, Version, etcdctl};
pub use session::run as run_script;
pub use suite::{Suite, extended};
pub use wait::{eventually, eventually_within};
pub use web::{Page, WebRequest, fetch};
