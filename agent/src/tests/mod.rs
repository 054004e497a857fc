//! The services of a real member, over real connections.

mod admin;
mod authority;
mod client;
mod health;
mod http;
mod kv;
mod lease;
mod metrics;
mod space;
mod transport;
