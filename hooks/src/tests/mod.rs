//! Decisions as tables, and whole hooks against a machine of scripts.

mod decisions;
mod fixture;
mod statuses;
mod whole;
