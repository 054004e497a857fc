//! The leanest gRPC client that still checks what it receives: prepared request frames straight
//! onto HTTP/2 streams, replies looked at only as far as a check needs.

mod channel;
mod error;
mod fields;
mod frame;
mod method;
mod reply;
mod status;
mod stream;

pub use channel::Channel;
pub use error::CallError;
pub use fields::{Fields, Value};
pub use frame::{Frames, encode};
pub use method::Method;
pub use reply::{Keep, Reply, header_revision};
pub use stream::Stream;
