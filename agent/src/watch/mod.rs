//! Watching: the gRPC `Watch` service and the task that feeds it.
//!
//! ```text
//! apply task --Hub::applied--> inbox --hub task--> store::watch::Hub --> outbox per stream
//!                                                                            |
//! client <-- HTTP/2 <-- WatchStream (a response body, polled by the connection) <-+
//! ```
//!
//! Applying a command only appends its rows to the inbox; matching is done by the hub task, so that
//! a put is not answered later the more watchers there are. A [`WatchStream`] is at once the reader
//! of its client's requests and the body of the response: it has no task of its own, and it is
//! polled only while the connection can take more, so a slow client is slowed down and costs
//! nothing but its outbox.
//!
//! Nothing ticks: the hub task sleeps until rows arrive, a watcher starts in the past or an outbox
//! that was full has room.

mod hub;
mod inbox;
mod service;
mod source;
mod stream;
#[cfg(test)]
mod tests;

pub use hub::{Hub, Options};
pub use service::WatchService;
pub use source::{StorePast, WatchSource};
pub use stream::WatchStream;
