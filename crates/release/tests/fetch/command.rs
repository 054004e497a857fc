//! The binary `quorate-release`: answers, exit codes, processes side by side.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Barrier};

use serde_json::Value;

use crate::server::Server;
use crate::{Place, archive, names};

fn command(place: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quorate-release"));
    command.env_clear().args(arguments).arg("--into").arg(place);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(place: &Path, arguments: &[&str]) -> Output {
    command(place, arguments).output().unwrap()
}

#[track_caller]
fn answer(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_fails(output: &Output, code: i32, why: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    let last = stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with("quorate-release: ") && last.contains(why), "{stderr}");
    assert!(output.stdout.is_empty());
}

#[test]
fn fetch_switch_list_and_rollback_work_as_commands() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let place = Place::new();
    let dir = place.dir();
    let output = run(dir, &["fetch", "--source", &server.url("q"), "--sum", &sum]);
    let fetched = answer(&output);
    let id = &sum[..12];
    assert_eq!(fetched["id"], id);
    assert_eq!(fetched["version"], "9.0.0");
    assert_eq!(fetched["path"], dir.join("releases").join(id).to_str().unwrap());
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("(100 %)"), "progress goes to stderr as lines: {log}");
    assert_eq!(answer(&run(dir, &["switch", id]))["from"], "old");
    let list = answer(&run(dir, &["list"]));
    assert_eq!((&list["current"], &list["previous"]), (&id.into(), &"old".into()));
    assert_eq!(list["releases"].as_array().unwrap().len(), 2);
    assert_eq!(answer(&run(dir, &["rollback"]))["id"], "old");
}

#[test]
fn each_kind_of_failure_has_its_exit_code() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let missing = Server::start(|exchange| exchange.answer("404 Not Found", &[], b""));
    let place = Place::new();
    let fetch =
        |source: &str, sum: &str| run(place.dir(), &["fetch", "--source", source, "--sum", sum]);
    assert_fails(&fetch(&server.url("q"), "abc"), 2, "3 digits");
    assert_fails(&fetch("ftp://h/q", &sum), 2, "scheme \"ftp\"");
    assert_fails(&fetch(&missing.url("q"), &sum), 3, "404");
    assert_fails(&fetch(&server.url("q"), &"0".repeat(40)), 4, "expected 0000");
    let text = place.dir().parent().unwrap().join("text");
    fs::write(&text, "hello").unwrap();
    let unverified = ["fetch", "--source", text.to_str().unwrap(), "--allow-unverified"];
    assert_fails(&run(place.dir(), &unverified), 5, "archive refused");
    let output = run(Path::new("/dev/null/x"), &unverified);
    assert_fails(&output, 6, "cannot create");
    assert_fails(&run(place.dir(), &["switch", "none"]), 2, "release none is not in");
    assert_fails(&run(place.dir(), &["switch", "../x"]), 2, "not valid");
    assert_fails(&run(place.dir(), &["rollback"]), 2, "no previous release");
    assert_eq!(run(place.dir(), &["fetch", "--bogus"]).status.code(), Some(2));
    place.assert_untouched();
}

#[test]
fn empty_proxy_variables_of_juju_are_no_proxies() {
    let (bytes, sum) = archive();
    let server = Server::start(move |exchange| exchange.whole(&[], &bytes));
    let place = Place::new();
    let mut command = command(place.dir(), &["fetch", "--source", &server.url("q"), "--sum", &sum]);
    for name in ["HTTP", "HTTPS", "NO"] {
        command.env(format!("JUJU_CHARM_{name}_PROXY"), "");
    }
    answer(&command.output().unwrap());
}

#[test]
fn two_processes_that_fetch_the_same_release_transfer_it_once() {
    let (bytes, sum) = archive();
    let both_started = Arc::new(Barrier::new(2));
    let gate = both_started.clone();
    let server = Server::start(move |exchange| {
        if exchange.number == 0 {
            gate.wait();
        }
        exchange.whole(&[], &bytes);
    });
    let place = Place::new();
    let url = server.url("q");
    let start =
        || command(place.dir(), &["fetch", "--source", &url, "--sum", &sum]).spawn().unwrap();
    let children = [start(), start()];
    both_started.wait();
    for child in children {
        assert_eq!(answer(&child.wait_with_output().unwrap())["id"], &sum[..12]);
    }
    assert_eq!(server.heads().len(), 1);
    assert_eq!(names(place.dir()), ["current", "releases"]);
}

#[test]
fn a_killed_fetch_leaves_nothing_the_next_one_minds() {
    let (bytes, sum) = archive();
    let reached = Arc::new(Barrier::new(2));
    let gate = reached.clone();
    let server = Server::start(move |exchange| match exchange.number {
        0 => {
            gate.wait();
            exchange.silent(&[], &bytes, 20_000);
        }
        _ => exchange.whole(&[], &bytes),
    });
    let place = Place::new();
    let arguments = ["fetch", "--source", &server.url("q"), "--sum", &sum];
    let mut child = command(place.dir(), &arguments).spawn().unwrap();
    reached.wait();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(names(&place.dir().join("releases")), ["old"]);
    assert_eq!(answer(&run(place.dir(), &arguments))["id"], &sum[..12]);
    assert_eq!(names(place.dir()), ["current", "releases"]);
}
