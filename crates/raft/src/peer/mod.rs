//! The peer protocol: how members talk to each other, version 1.
//!
//! A connection opens with eight fixed bytes and a [`message::Hello`] that names both ends, the
//! cluster and the sender's incarnation; nothing is answered before that has been checked. After it
//! both sides exchange frames. Layout: docs/formats/peer.md. Beside it the port has one page, `web`.

mod connection;
mod discover;
mod frame;
mod install;
mod link;
mod message;
mod network;
mod pool;
mod server;
mod traffic;
mod web;

pub(crate) use connection::LinkError;
pub use discover::DiscoverError;
#[cfg(test)]
pub(crate) use discover::DiscoveredMember;
pub(crate) use discover::{Discovered, ask, discover, discover_at};
pub(crate) use frame::{Frame, Kind};
pub(crate) use install::Gate;
pub(crate) use message::Method;
pub(crate) use network::NetworkFactory;
pub use pool::REMOVED;
pub(crate) use pool::{Local, Pool};
pub(crate) use server::serve;
pub use traffic::PeerStats;
