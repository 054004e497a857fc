//! The Lease service, and the leader's part in it: deadlines.
//!
//! Leases live in the replicated store; how long each one has left is known only to the leader's
//! [`LeaseBook`], which a keep-alive never leaves: nothing is logged for it.

mod book;
mod expiry;
mod grant;
mod keep_alive;
mod leases;
mod peer;
mod revoke;
mod time_to_live;

pub use book::LeaseBook;
pub use expiry::{run as run_expiry, run_takeover};
pub use grant::grant;
pub use keep_alive::keep_alive;
pub use leases::leases;
pub use peer::serve as serve_peer;
pub use revoke::revoke;
pub use time_to_live::time_to_live;
