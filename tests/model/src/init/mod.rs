//! The init of a machine: runs systemd units below the machine's root as real processes.
//!
//! One process per machine. It ends, and kills what it runs, when its standard input closes, so
//! that nothing outlives the model.

pub(crate) mod control;
mod environment;
mod manager;
mod service;
mod unit_file;

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use manager::Manager;

/// How often services are looked at.
const TICK: Duration = Duration::from_millis(10);

/// The machine-init executable: `machine-init ROOT ADDRESS`.
pub fn machine_init() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let (Some(root), Some(address)) = (args.next(), args.next()) else {
        eprintln!("usage: machine-init ROOT ADDRESS");
        return ExitCode::from(2);
    };
    let root = PathBuf::from(root);
    let listener = match UnixListener::bind(control::socket(&root)) {
        Ok(listener) => listener,
        Err(error) => {
            eprintln!("machine-init: {}: {error}", control::socket(&root).display());
            return ExitCode::FAILURE;
        }
    };
    let manager = Arc::new(Mutex::new(Manager::new(root, address.to_string_lossy().into_owned())));
    lock(&manager).start_enabled();
    let ticking = Arc::clone(&manager);
    std::thread::spawn(move || {
        loop {
            lock(&ticking).tick();
            std::thread::sleep(TICK);
        }
    });
    let serving = Arc::clone(&manager);
    std::thread::spawn(move || control::serve(&listener, &serving));
    wait_for_end();
    lock(&manager).kill_all();
    ExitCode::SUCCESS
}

/// The model holds the other end.
fn wait_for_end() {
    let mut rest = Vec::new();
    let _ = std::io::stdin().read_to_end(&mut rest);
}

/// The manager, also after a panic of another thread.
fn lock(manager: &Mutex<Manager>) -> std::sync::MutexGuard<'_, Manager> {
    manager.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
