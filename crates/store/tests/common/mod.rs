//! What the suites share: a history in memory, a member under test, a naive model, and the
//! requests to try on them.

#![allow(dead_code, reason = "every suite uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends")]

pub mod history;
pub mod member;
pub mod model;
pub mod requests;
