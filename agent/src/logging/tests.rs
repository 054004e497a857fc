//! Lines end to end, and a sink that stalls.

use std::io::Write;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use serde_json::Value;
use tracing::subscriber::with_default;
use tracing::{debug, error, info, warn};

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn to_file(path: &std::path::Path, level: LogLevel) -> LogConfig {
    let outputs = vec![LogOutput::File(path.to_owned())];
    LogConfig { level, format: LogFormat::Json, outputs }
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn an_event_is_a_json_line_with_its_fields() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let (log, subscriber) = Log::open(&to_file(&path, LogLevel::Info)).unwrap();
    with_default(subscriber, || {
        info!(term = 3u64, leader = %"a", ready = true, "ready to serve client requests");
        debug!("not to be seen");
        error!(error = "disk \"full\"\nnow", "stopping");
    });
    assert!(log.flush(LIMIT));
    let lines = lines(&path);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["level"], "info");
    assert_eq!(lines[0]["msg"], "ready to serve client requests");
    assert_eq!((&lines[0]["term"], &lines[0]["leader"]), (&Value::from(3), &Value::from("a")));
    assert_eq!(lines[0]["ready"], true);
    assert!(lines[0]["caller"].as_str().unwrap().starts_with("logging/tests.rs:"));
    assert_eq!(lines[0]["ts"].as_str().unwrap().len(), "2026-01-02T03:04:05.678Z".len());
    assert_eq!(lines[1]["error"], "disk \"full\"\nnow");
}

#[test]
fn each_level_lets_through_what_is_as_important() {
    let directory = tempfile::tempdir().unwrap();
    let cases =
        [(LogLevel::Debug, 4), (LogLevel::Info, 3), (LogLevel::Warn, 2), (LogLevel::Error, 1)];
    for (level, expected) in cases {
        let path = directory.path().join(format!("{level:?}"));
        let (log, subscriber) = Log::open(&to_file(&path, level)).unwrap();
        with_default(subscriber, || {
            debug!("d");
            info!("i");
            warn!("w");
            error!("e");
            info!(target: "openraft::core", "never at info");
        });
        assert!(log.flush(LIMIT));
        let chatty = usize::from(level == LogLevel::Debug);
        assert_eq!(lines(&path).len(), expected + chatty, "{level:?}");
    }
}

#[test]
fn a_log_file_that_cannot_be_opened_is_named() {
    let config = to_file(std::path::Path::new("/nowhere/at/all"), LogLevel::Info);
    let Err(error) = Log::open(&config) else { panic!("opened /nowhere/at/all") };
    assert!(error.to_string().starts_with("--log-outputs: cannot open /nowhere/at/all: "));
}

/// Writes nothing until it is allowed to; then everything goes to `written`.
struct Stalled {
    go: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Errors once the test has dropped its end: from then on the sink is free.
        let _ = self.go.recv();
        let _ = self.written.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// etcd's issue 22214: a stalled log stopped the server.
#[test]
fn a_stalled_sink_costs_lines_and_never_time() {
    let (release, go) = channel::<()>();
    let (written, lines) = channel();
    let queue = Queue::start(Box::new(Stalled { go, written }), LogFormat::Json).unwrap();
    let pushed = 3 * queue::LINES_MAX;
    for _ in 0..pushed {
        queue.push(Arc::from(&b"line\n"[..]));
    }
    // One line may be in the writer's hands beside those in the queue.
    let dropped = usize::try_from(queue.dropped_total()).unwrap();
    assert!((pushed - queue::LINES_MAX - 1..=pushed - queue::LINES_MAX).contains(&dropped));
    assert!(!queue.flush(Instant::now()), "a stalled sink cannot have been flushed");

    drop(release);
    assert!(queue.flush(Instant::now() + LIMIT));
    let written: Vec<Vec<u8>> = lines.try_iter().collect();
    let (plain, notices): (Vec<_>, Vec<_>) =
        written.into_iter().partition(|line| line.as_slice() == b"line\n");
    assert_eq!(plain.len() + dropped, pushed);
    let counted: u64 = notices
        .iter()
        .map(|line| serde_json::from_slice::<Value>(line).unwrap()["dropped"].as_u64().unwrap())
        .sum();
    assert_eq!(usize::try_from(counted).unwrap(), dropped);
}
