//! Drives etcd-compatible servers and compares them side by side.
//!
//! Two programs are built from here: `load` puts one kind of load on any endpoints, `compare`
//! starts several servers in turns and prints the table of `docs/performance.md`. The crate must
//! never be linked into the server: it measures from outside, over plain HTTP/2, as a client.

mod compare;
mod load;
mod process;
mod wire;

pub use compare::main as compare_main;
pub use load::main as load_main;
