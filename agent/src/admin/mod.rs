//! The admin socket: HTTP and JSON over a unix socket, for whoever operates this one member.
//!
//! It answers from the first moment of the process to the last, whether there is a member or not.
//! Only root and this process's own user may ask. It never touches the store but by what the
//! services do too; docs/admin.md describes every path.
//!
//! - [`Server`]: the socket, and the connections it takes
//! - [`Command`]: the other end, `quorate admin`

mod calls;
mod client;
mod command;
mod refusal;
mod reply;
mod request;
mod routes;
mod server;
mod socket;
mod status;

pub use client::run;
pub use command::{Command, Parsed, parse};
pub use server::Server;
