//! `cargo xtask`: what developers and CI type. Each command says what it runs, so that nobody
//! needs this tool to do the same by hand.

mod bench;
mod docs;
mod lint;
mod reference;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, checks, benchmarks and generated pages of Quorate.
///
/// On a fresh machine `cargo xtask test` is all there is to type: it fetches what the tests need
/// where it may, and says by name what it had to leave out.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test, or those the filter selects.
    ///
    /// Installs Debian's etcd-client and etcd-server when run as root on a machine with apt-get:
    /// many suites run against real etcd too and compare the answers. Without them those cases
    /// are skipped, by name. Uses cargo-nextest when it is installed, else cargo test.
    #[command(after_help = "Examples:\n  cargo xtask test\n  cargo xtask test watch\n  \
                            cargo xtask test -p quorate-store\n  \
                            QUORATE_EXTENDED=1 cargo xtask test faults")]
    Test {
        /// Handed to the runner as they are: test names, -p crate, and so on.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "FILTER")]
        filter: Vec<String>,
    },
    /// Check formatting, clippy's lints and, where cargo-deny is installed, the dependencies.
    Lint,
    /// Compare this build with etcd on this machine (release build; takes a while).
    #[command(after_help = "What the compare program takes: cargo xtask bench -- --help")]
    Bench {
        /// Handed to the compare program as they are.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Rewrite the pages that are made from data: docs/flags.md.
    Docs,
}

fn main() -> ExitCode {
    let result = match Line::parse().command {
        Command::Test { filter } => test::run(&filter),
        Command::Lint => lint::run(),
        Command::Bench { args } => bench::run(&args),
        Command::Docs => docs::run(),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
