//! `cargo xtask`: what developers and CI type. Each command says what it runs, so that nobody
//! needs this tool to do the same by hand.

mod bench;
mod charm;
mod docs;
mod lint;
mod model;
mod reference;
mod release;
mod step;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tests, checks, benchmarks, the charm and generated pages of Quorate.
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
    /// Build and pack the charm: target/charm/quorate_<arch>.charm.
    ///
    /// Release build of the store, the hooks and the actions; takes a while. The archive has the
    /// same bytes whenever it is made from the same files. Refused: programs that would not start
    /// on Ubuntu 22.04, and archives above 30 MB.
    #[command(after_help = "Examples:\n  cargo xtask charm --analyse\n  \
                            cargo xtask charm --profile dev --unpacked /tmp/charm\n  \
                            juju deploy ./target/charm/quorate_amd64.charm etcd")]
    Charm(charm::Options),
    /// Build the release archive and its sums: target/release-archive/.
    ///
    /// What the charm's options bin-source and source-sum take.
    Release(release::Options),
    /// Deploy the charm on this machine in a stand-in for Juju, and talk to it.
    #[command(after_help = "What the stand-in takes: cargo xtask model -- --help\n\nExamples:\n  \
                            cargo xtask model\n  cargo xtask model up -n 1\n  \
                            cargo xtask model --profile release")]
    Model(model::Options),
    /// Rewrite the pages that are made from data: docs/flags.md.
    Docs,
}

fn main() -> ExitCode {
    let result = match Line::parse().command {
        Command::Test { filter } => test::run(&filter),
        Command::Lint => lint::run(),
        Command::Bench { args } => bench::run(&args),
        Command::Charm(options) => charm::run(&options),
        Command::Release(options) => release::run(&options),
        Command::Model(options) => model::run(&options),
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
