//! Ctrl-C and SIGTERM, and panics: the servers end with the benchmark.

use std::path::PathBuf;

use tokio::signal::unix::{SignalKind, signal};

use crate::compare::options::Bench;
use crate::compare::processes::Processes;

/// What shells report for a program that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// Kills all servers and removes their data when the benchmark is told to end or panics.
pub fn end_processes_on_signal(bench: &Bench) {
    let (processes, directory) = (bench.processes.clone(), bench.directory.path().to_owned());
    let hook = std::panic::take_hook();
    let on_panic = processes.clone();
    std::panic::set_hook(Box::new(move |panic| {
        on_panic.end_all(); // release builds abort: nothing would be dropped
        hook(panic);
    }));
    std::thread::spawn(move || {
        if wait().is_ok() {
            end(&processes, directory);
        }
    });
}

fn end(processes: &Processes, directory: PathBuf) {
    processes.end_all();
    let _ = std::fs::remove_dir_all(directory); // as good as it gets on the way out
    std::process::exit(INTERRUPTED);
}

fn wait() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        tokio::select! {
            outcome = tokio::signal::ctrl_c() => outcome,
            _ = terminate.recv() => Ok(()),
        }
    })
}
