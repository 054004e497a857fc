//! The hub against a naive model: random histories, watchers, slow readers and compactions, with
//! the catch-up turns cut open so that everything can happen between their steps.

mod client;
mod guarantees;
mod model;
mod scripted;
