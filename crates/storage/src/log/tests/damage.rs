//! Damaged files: what is cut, what is refused.

use std::path::PathBuf;

use super::*;
use crate::log::format::{HEADER_BYTES, record_bytes};

const PAYLOAD: usize = 40;

/// A log of one segment with these many entries, one batch each, and where the entries begin.
fn written(entries: u64) -> (Faulty, PathBuf, Vec<usize>) {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    for index in 0..entries {
        append(&log, records(1, index..index + 1, PAYLOAD)).unwrap();
    }
    let end = log.0.shared.view.read().segments[&1].end as usize;
    log.close();
    let path = fs.paths(".wal").pop().expect("one segment");
    let size = record_bytes(PAYLOAD);
    let begin = end - entries as usize * size;
    (fs, path, (0..entries as usize).map(|at| begin + at * size).collect())
}

fn refusal(fs: &Faulty) -> LogError {
    match Log::open_in(Arc::new(fs.clone()), options()) {
        Ok((_, state)) => panic!("the log was accepted: {state:?}"),
        Err(error) => error,
    }
}

#[test]
fn a_last_record_torn_at_any_byte_is_cut() {
    let (fs, path, begins) = written(3);
    let whole = fs.contents(&path);
    let last = begins[2];
    for length in 0..record_bytes(PAYLOAD) {
        let torn = fs.after_crash(crate::files::faulty::Unsynced::Kept);
        let mut bytes = whole.clone();
        bytes[last + length..].fill(0);
        // Padding may be all that is missing: the record is complete then.
        let complete = bytes[last..] == whole[last..];
        torn.set_contents(&path, bytes);
        let (log, state) = open(&torn);
        let expected = if complete { 3 } else { 2 };
        assert_eq!(all(&log), records(1, 0..expected, PAYLOAD), "cut after {length} bytes");
        assert_eq!(state.last, Some(at(1, expected - 1)));
    }
}

#[test]
fn damage_in_the_middle_is_refused_and_named() {
    let (fs, path, begins) = written(4);
    let whole = fs.contents(&path);
    for byte in 0..record_bytes(PAYLOAD) {
        let mut bytes = whole.clone();
        bytes[begins[1] + byte] ^= 0x10;
        fs.set_contents(&path, bytes.clone());
        let error = refusal(&fs);
        let LogError::Corrupt { offset, path: named, .. } = &error else { panic!("{error}") };
        assert_eq!((*offset as usize, named), (begins[1], &path), "byte {byte}");
        assert!(error.to_string().contains("replace this member"));
        assert_eq!(fs.contents(&path), bytes, "the file is left untouched");
    }
}

#[test]
fn a_zeroed_sector_in_the_middle_is_refused() {
    let (fs, path, begins) = written(20);
    let mut bytes = fs.contents(&path);
    bytes[begins[5]..begins[9]].fill(0);
    fs.set_contents(&path, bytes);
    assert!(matches!(refusal(&fs), LogError::Corrupt { .. }));
}

#[test]
fn a_damaged_segment_header_is_refused() {
    let (fs, path, _) = written(3);
    let mut bytes = fs.contents(&path);
    bytes[HEADER_BYTES + 3] ^= 1;
    fs.set_contents(&path, bytes);
    assert!(matches!(refusal(&fs), LogError::Corrupt { offset: 0, .. }));
}

#[test]
fn damage_at_the_end_of_an_earlier_segment_is_refused() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    append(&log, records(1, 0..60, 100)).unwrap();
    log.close();
    let first = fs.paths(".wal").remove(0);
    let mut bytes = fs.contents(&first);
    let seal = bytes.iter().rposition(|byte| *byte != 0).expect("not empty");
    bytes[seal] ^= 1;
    fs.set_contents(&first, bytes);
    assert!(matches!(refusal(&fs), LogError::Corrupt { .. }));
}

#[test]
fn a_missing_segment_is_refused() {
    for which in [0, 1] {
        let fs = Faulty::default();
        let (log, _) = open(&fs);
        append(&log, records(1, 0..90, 100)).unwrap();
        log.close();
        let paths = fs.paths(".wal");
        assert!(paths.len() > 2);
        fs.remove_now(&paths[which]);
        let error = refusal(&fs).to_string();
        assert!(error.contains("earlier segments"), "{error}");
    }
}

#[test]
fn a_log_that_must_exist_is_not_made_anew() {
    let fs = Faulty::default();
    let options = LogOptions { must_exist: true, ..options() };
    let outcome = Log::open_in(Arc::new(fs), options);
    assert!(matches!(outcome, Err(LogError::Missing { .. })));
}

#[test]
fn a_record_repeated_over_a_torn_batch_does_not_revive_what_followed_it() {
    // Before the cut: entry 2 and a truncation in one batch, of which only the latter arrived.
    let (fs, path, begins) = written(2);
    let before = fs.contents(&path);
    let (log, _) = open(&fs);
    append(&log, vec![record(1, 2, PAYLOAD), record(1, 3, PAYLOAD)]).unwrap();
    log.close();
    let opened = record_bytes(0);
    let third = begins[1] + record_bytes(PAYLOAD) + opened;
    let mut torn = fs.contents(&path);
    torn[third..third + HEADER_BYTES].copy_from_slice(&before[third..third + HEADER_BYTES]);
    fs.set_contents(&path, torn);
    let (log, state) = open(&fs);
    assert_eq!(state.last, Some(at(1, 1)));
    // The same entry again: its bytes are those of the torn batch.
    append(&log, vec![record(1, 2, PAYLOAD)]).unwrap();
    log.close();
    assert_eq!(open(&fs).1.last, Some(at(1, 2)), "entry 3 was never acknowledged");
}

#[test]
fn damage_under_a_running_log_is_an_error_not_an_answer() {
    let fs = Faulty::default();
    let options = LogOptions { tail_cache_bytes_max: 0, ..options() };
    let (log, _) = Log::open_in(Arc::new(fs.clone()), options).unwrap();
    append(&log, records(1, 0..3, PAYLOAD)).unwrap();
    let path = fs.paths(".wal").pop().unwrap();
    let mut bytes = fs.contents(&path);
    let last = bytes.iter().rposition(|byte| *byte != 0).expect("not empty");
    bytes[last] ^= 1;
    fs.set_contents(&path, bytes);
    assert!(matches!(log.read(2, 3, 100), Err(LogError::Corrupt { .. })));
    assert_eq!(log.read(0, 2, 1_000).unwrap().len(), 2);
}
