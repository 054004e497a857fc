//! What the charm's product suites share: the charm's tree, a model with the application `etcd` in
//! it, a client of its members, and what a failed test shows.

mod application;
mod client;
mod load;
mod suite;
mod tree;

pub use application::{APP, Etcd};
pub use client::Store;
pub use load::Load;
pub use suite::{Suite, is_extended};
pub use tree::tree;
