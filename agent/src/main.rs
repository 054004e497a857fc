//! The binary `quorate`: one member of a cluster.

use std::io::{self, Write};
use std::process::ExitCode;

use agent::config::{Config, Request};

/// Quick, and the same with every C library. Without huge pages: they cost 25 MB in an idle member,
/// half as much again in a loaded one, and gave no speed that could be measured.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match Config::from_process() {
        Ok(Request::Print(text)) => {
            // A reader who has seen enough closes the pipe; that is no failure.
            let _ = io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Ok(Request::Admin(command)) => agent::admin::run(&command),
        Ok(Request::Check(config)) => {
            for warning in &config.warnings {
                eprintln!("quorate: {warning}");
            }
            println!("member {} can start with data in {}", config.name, config.data_dir.display());
            ExitCode::SUCCESS
        }
        Ok(Request::Start(config)) => match agent::process::run(*config) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("quorate: {error:#}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("quorate: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
