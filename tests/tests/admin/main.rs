//! The admin socket and the commands around it, with real processes. Only ours has them.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod ask;
mod check;
mod join;
mod leave;
mod manager;
mod socket;
mod status;
mod turn;

use std::process::ExitCode;

use quorate_tests::Suite;

fn main() -> ExitCode {
    let mut suite = Suite::new();
    status::add(&mut suite);
    socket::add(&mut suite);
    turn::add(&mut suite);
    leave::add(&mut suite);
    join::add(&mut suite);
    check::add(&mut suite);
    suite.main()
}
