//! How `systemctl` reaches the init: its arguments as one line of JSON, one line back.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::manager::{Asked, Manager};
use crate::error::{At, Result};
use crate::wire::{Answer, exchange};

/// How often a waiting command looks whether its job is done.
const POLL: Duration = Duration::from_millis(5);

/// Where the init of a machine listens.
pub(crate) fn socket(root: &Path) -> PathBuf {
    root.join("run/init.sock")
}

/// Sends the arguments of `systemctl` to a machine.
pub(crate) fn ask(root: &Path, args: &[String]) -> Result<Answer> {
    let socket = socket(root);
    let line = serde_json::to_string(args).at("arguments")?;
    let answer = exchange(&socket, &line).at(socket.display())?;
    serde_json::from_str(&answer).at(socket.display())
}

pub(super) fn serve(listener: &UnixListener, manager: &Arc<Mutex<Manager>>) {
    for stream in listener.incoming().flatten() {
        let manager = Arc::clone(manager);
        std::thread::spawn(move || handle(&stream, &manager));
    }
}

fn handle(stream: &UnixStream, manager: &Mutex<Manager>) {
    let mut line = String::new();
    if BufReader::new(stream).read_line(&mut line).is_err() {
        return;
    }
    let Ok(args) = serde_json::from_str::<Vec<String>>(&line) else { return };
    let answer = answer(&args, manager);
    let mut writer = stream;
    // The asking process may have been killed.
    let _ = serde_json::to_string(&answer).map(|line| writeln!(writer, "{line}"));
}

fn answer(args: &[String], manager: &Mutex<Manager>) -> Answer {
    let asked = super::lock(manager).ask(args);
    let jobs = match asked {
        Asked::Answer(answer) => return answer,
        Asked::Wait(jobs) => jobs,
    };
    loop {
        if let Some(answer) = super::lock(manager).finished(&jobs) {
            return answer;
        }
        std::thread::sleep(POLL);
    }
}
