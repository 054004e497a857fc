//! One port for everything clients speak: gRPC over HTTP/2 and plain HTTP, told apart per
//! connection and then per path.
//!
//! Unary calls do not go through the gRPC library: a request is one frame in, one frame out, and
//! the library's boxing and layers cost more than the call (docs of [`grpc`]).

mod authority;
pub mod body;
mod call;
mod dispatch;
pub mod frame;
pub mod grpc;
mod inline;
pub mod listener;
pub mod message;
pub mod method;
mod opening;
pub mod status;
pub mod threads;

pub use dispatch::handle;
pub use inline::InlineFirst;
