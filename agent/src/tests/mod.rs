//! The services of a real member, over real connections.

mod authority;
mod client;
mod http;
mod kv;
mod lease;
mod space;
mod transport;
