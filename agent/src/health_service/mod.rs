//! The service `grpc.health.v1.Health`: whether this member takes calls.
//!
//! As in etcd the only service it knows is the empty name, the member as a whole, and that one
//! serves from the start until the member stops: whether there is a leader, an alarm or a readable
//! store is what `/health` and `/readyz` are for. It passes the same gate as every other call, so a
//! learner refuses it, which is what a load balancer should see.

mod check;
mod watch;

use api::health::health_check_response::ServingStatus;

pub use self::check::check;
pub use self::watch::watch;
use crate::member::Member;

/// The member as a whole.
const MEMBER: &str = "";

/// The status of a service; `None` when it is not known.
fn status(member: &Member, service: &str) -> Option<ServingStatus> {
    let stopping = *member.stop.borrow();
    let status = if stopping { ServingStatus::NotServing } else { ServingStatus::Serving };
    (service == MEMBER).then_some(status)
}
