//! The Cluster service: who belongs to the cluster, and changing it.
//!
//! Headers of this service carry no revision (etcd-surface 1.3).

mod add;
mod list;
mod promote;
mod remove;
mod response;
mod settle;
mod update;
mod urls;

pub use add::add;
pub use list::list;
pub use promote::promote;
pub use remove::remove;
pub use response::{member_message, members};
use settle::settle;
pub use update::update;
