//! A real process, killed while it writes.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::backend::tests::{batch, row, scan};
use crate::{Backend, BackendOptions, Log, LogOptions, LogPosition, LogRecord};

const DIRECTORY: &str = "QUORATE_KILL_TEST_DIRECTORY";
const ACKNOWLEDGED: [u64; 3] = [1, 57, 400];

fn open(directory: &Path) -> (Log, crate::LogState, Backend) {
    let options = LogOptions { segment_bytes: 16 << 10, ..LogOptions::new(directory.join("wal")) };
    let (log, state) = Log::open(options).expect("the log opens");
    let backend = Backend::open(BackendOptions::new(directory.join("snap"))).expect("opens");
    (log, state, backend)
}

/// Writes until it is killed, printing each index when it is acknowledged.
#[test]
#[ignore = "the victim of the test below, which runs it"]
fn victim() {
    let directory = std::env::var(DIRECTORY).expect("set by the test below");
    let (log, _, backend) = open(Path::new(&directory));
    for index in 1.. {
        let position = LogPosition::new(1, index);
        let (sender, receiver) = mpsc::channel();
        let record = LogRecord { position, kind: 0, payload: vec![1; 100].into() };
        log.append(vec![record], Box::new(move |outcome| drop(sender.send(outcome))));
        receiver.recv().expect("an outcome").expect("written");
        backend.enqueue(batch(index, vec![row(index as i64, 50)]));
        if index % 20 == 0 {
            backend.flush(Box::new(|_| ()));
        }
        if let Some(durable) = backend.durable() {
            log.purge(durable, Box::new(|_| ()));
        }
        println!("acknowledged {index}");
        std::io::stdout().flush().expect("somebody reads");
    }
}

#[test]
fn what_a_killed_process_acknowledged_is_in_the_log_or_the_database() {
    for kill_after in ACKNOWLEDGED {
        let temporary = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["kill::victim", "--exact", "--ignored", "--nocapture"])
            .env(DIRECTORY, temporary.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let acknowledged = lines
            .filter_map(|line| line.unwrap().split_once("acknowledged ")?.1.parse::<u64>().ok())
            .find(|index| *index >= kill_after)
            .expect("the victim writes");
        child.kill().unwrap();
        child.wait().unwrap();

        let (_, state, backend) = open(temporary.path());
        assert!(state.last.map_or(0, |last| last.index) >= acknowledged);
        let held = backend.position().map_or(0, |position| position.index);
        assert!(held >= state.purged.map_or(0, |purged| purged.index));
        assert_eq!(scan(&backend, 1, i64::MAX).len() as u64, held);
    }
}
