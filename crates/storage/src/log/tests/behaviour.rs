//! What the log does when nothing is lost.

use super::*;

#[test]
fn entries_votes_and_positions_are_found_after_a_restart() {
    let fs = Faulty::default();
    let (log, state) = open(&fs);
    assert_eq!(state, LogState::default());
    append(&log, records(1, 0..5, 100)).unwrap();
    log.save_committed(at(1, 3));
    wait(|done| log.save_vote(Bytes::from_static(b"me"), done)).unwrap();
    log.close();

    let (log, state) = open(&fs);
    let expected = LogState {
        vote: Some(Bytes::from_static(b"me")),
        committed: Some(at(1, 3)),
        purged: None,
        last: Some(at(1, 4)),
    };
    assert_eq!(state, expected);
    assert_eq!(all(&log), records(1, 0..5, 100));
}

#[test]
fn entries_are_readable_before_they_are_synced() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    // The log's thread stands still in the first outcome until the entries have been read.
    let (go, wait_for_go) = mpsc::channel::<()>();
    log.save_vote(Bytes::new(), Box::new(move |_| wait_for_go.recv().expect("go")));
    log.append(records(1, 0..3, 10), Box::new(|_| ()));
    assert_eq!(all(&log), records(1, 0..3, 10));
    go.send(()).unwrap();
}

#[test]
fn outcomes_come_in_the_order_of_the_calls() {
    let (log, _) = open(&Faulty::default());
    let (sender, receiver) = mpsc::channel();
    for index in 0..200 {
        let sender = sender.clone();
        let done: Done = Box::new(move |outcome| {
            outcome.expect("written");
            sender.send(index).expect("somebody waits");
        });
        match index % 4 {
            0 => log.save_vote(Bytes::from_static(b"v"), done),
            _ => log.append(records(1, index * 2..index * 2 + 2, 20), done),
        }
        if index % 4 == 0 {
            // Keep the indices consecutive over the vote.
            log.append(records(1, index * 2..index * 2 + 2, 20), Box::new(|_| ()));
        }
    }
    let order: Vec<u64> =
        (0..200).map(|_| receiver.recv_timeout(DEADLINE).expect("in time")).collect();
    assert_eq!(order, (0..200).collect::<Vec<_>>());
}

#[test]
fn old_entries_leave_memory_and_are_read_from_disk() {
    let fs = Faulty::default();
    let options = LogOptions { tail_cache_bytes_max: 2_000, ..options() };
    let (log, _) = Log::open_in(Arc::new(fs), options).unwrap();
    for index in 0..300 {
        append(&log, records(1, index..index + 1, 150)).unwrap();
    }
    assert!(log.0.shared.view.read().tail_first().unwrap() > 200, "memory is bounded");
    assert_eq!(all(&log), records(1, 0..300, 150));
    for index in [0, 1, 17, 150, 298, 299] {
        assert_eq!(log.read(index, index + 1, 0).unwrap(), records(1, index..index + 1, 150));
        assert_eq!(log.position_of(index).unwrap(), Some(at(1, index)));
    }
    assert_eq!(log.position_of(300).unwrap(), None);
}

#[test]
fn a_log_whose_first_index_is_not_zero_is_read_from_its_first_entry() {
    let fs = Faulty::default();
    let options = LogOptions { tail_cache_bytes_max: 500, ..options() };
    let (log, _) = Log::open_in(Arc::new(fs.clone()), options.clone()).unwrap();
    log.append(records(1, 3..5, 50), Box::new(|_| ()));
    assert_eq!(all(&log), records(1, 3..5, 50), "out of memory");
    append(&log, records(1, 5..40, 50)).unwrap();
    assert_eq!(all(&log), records(1, 3..40, 50), "most of it from disk");
    log.close();
    let (log, _) = Log::open_in(Arc::new(fs), options).unwrap();
    assert_eq!(all(&log), records(1, 3..40, 50), "after a restart");
    assert_eq!(log.read(0, 3, u64::MAX).unwrap(), []);
}

#[test]
fn a_read_is_bounded_by_bytes_but_returns_one_entry_in_any_case() {
    let options = LogOptions { tail_cache_bytes_max: 2_000, ..options() };
    let (log, _) = Log::open_in(Arc::new(Faulty::default()), options).unwrap();
    append(&log, records(1, 0..100, 100)).unwrap();
    append(&log, records(1, 100..101, 100)).unwrap();
    for from in [0, 50, 99] {
        assert_eq!(log.read(from, 101, 1).unwrap().len(), 1);
        assert_eq!(log.read(from, 101, 250).unwrap().len(), 2);
    }
    assert!(log.read(101, 200, 100).unwrap().is_empty());
}

#[test]
fn truncated_entries_are_gone_and_others_take_their_place() {
    let fs = Faulty::default();
    let options = LogOptions { tail_cache_bytes_max: 1_000, ..options() };
    let (log, _) = Log::open_in(Arc::new(fs.clone()), options.clone()).unwrap();
    append(&log, records(1, 0..60, 100)).unwrap();
    wait(|done| log.truncate_after(Some(at(1, 24)), done)).unwrap();
    assert_eq!(log.state().1, Some(at(1, 24)));
    append(&log, records(2, 25..40, 100)).unwrap();
    wait(|done| log.truncate_after(Some(at(2, 30)), done)).unwrap();
    append(&log, records(3, 31..70, 100)).unwrap();
    let expected = [records(1, 0..25, 100), records(2, 25..31, 100), records(3, 31..70, 100)];
    assert_eq!(all(&log), expected.concat());
    log.close();
    let (log, state) = Log::open_in(Arc::new(fs), options).unwrap();
    assert_eq!(state.last, Some(at(3, 69)));
    assert_eq!(all(&log), expected.concat());
}

#[test]
fn everything_can_be_truncated() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    append(&log, records(1, 0..9, 10)).unwrap();
    wait(|done| log.truncate_after(None, done)).unwrap();
    assert_eq!((log.state().1, all(&log).len()), (None, 0));
    append(&log, records(2, 0..3, 10)).unwrap();
    log.close();
    assert_eq!(all(&open(&fs).0), records(2, 0..3, 10));
}

#[test]
fn purged_segments_are_recycled_and_their_stale_records_are_not_seen() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    for round in 0..40 {
        let from = round * 20;
        append(&log, records(1, from..from + 20, 100)).unwrap();
        wait(|done| log.purge(at(1, from + 10), done)).unwrap();
        assert_eq!(all(&log), records(1, from + 11..from + 20, 100));
    }
    until("purged files go", || log.bytes_on_disk() <= 6 * SEGMENT_BYTES);
    log.close();
    assert!(fs.paths(".wal").len() <= 3, "{:?}", fs.paths(""));
    let (log, state) = open(&fs);
    assert_eq!((state.purged, state.last), (Some(at(1, 790)), Some(at(1, 799))));
    assert_eq!(all(&log), records(1, 791..800, 100));
}

#[test]
fn a_purge_beyond_the_end_leaves_an_empty_log_that_goes_on_there() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    append(&log, records(1, 0..5, 10)).unwrap();
    wait(|done| log.purge(at(3, 100), done)).unwrap();
    assert_eq!(log.state(), (Some(at(3, 100)), Some(at(3, 100))));
    assert_eq!(log.position_of(100).unwrap(), Some(at(3, 100)));
    append(&log, records(3, 101..103, 10)).unwrap();
    log.close();
    let (log, state) = open(&fs);
    assert_eq!((state.purged, state.last), (Some(at(3, 100)), Some(at(3, 102))));
    assert_eq!(all(&log), records(3, 101..103, 10));
}

#[test]
fn an_entry_longer_than_a_segment_gets_one_of_its_own() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    let long = 3 * SEGMENT_BYTES as usize;
    append(&log, vec![record(1, 0, 10), record(1, 1, long), record(1, 2, 10)]).unwrap();
    append(&log, vec![record(1, 3, long), record(1, 4, long)]).unwrap();
    log.close();
    let (log, _) = open(&fs);
    let lengths: Vec<_> = all(&log).iter().map(|record| record.payload.len()).collect();
    assert_eq!(lengths, [10, long, 10, long, long]);
}

#[test]
fn an_entry_beyond_the_limit_is_refused_and_the_log_goes_on() {
    let (log, _) = open(&Faulty::default());
    append(&log, records(1, 0..1, 10)).unwrap();
    let error = append(&log, vec![record(1, 1, ENTRY_BYTES_MAX + 1)]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    append(&log, records(1, 1..2, 10)).unwrap();
    assert_eq!(all(&log).len(), 2);
}

#[test]
fn calls_after_the_end_fail() {
    let (log, _) = open(&Faulty::default());
    log.close();
    let error = append(&log, records(1, 0..1, 1)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
}

#[test]
fn an_empty_log_starts_with_little_and_grows_by_doubling() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = Log::open(LogOptions::new(directory.path())).unwrap();
    until("a spare is ready", || log.bytes_on_disk() == 3 * FIRST_SEGMENT_BYTES);
    log.append(records(1, 0..4_000, 300), Box::new(|_| ()));
    until("the next one is ready", || log.bytes_on_disk() == 7 * FIRST_SEGMENT_BYTES);
    log.close();
    let (log, state) = Log::open(LogOptions::new(directory.path())).unwrap();
    assert_eq!(state.last, Some(at(1, 3_999)));
    assert_eq!(all(&log), records(1, 0..4_000, 300));
}

/// The thread that ran `done`.
fn appended_on(log: &Log, records: Vec<LogRecord>) -> std::thread::ThreadId {
    let (sender, receiver) = mpsc::channel();
    log.append_here(
        records,
        Box::new(move |outcome| {
            outcome.expect("written");
            sender.send(std::thread::current().id()).expect("somebody waits");
        }),
    );
    receiver.recv_timeout(DEADLINE).expect("an outcome in time")
}

#[test]
fn an_idle_log_lets_the_caller_write_and_a_full_segment_does_not() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    let here = std::thread::current().id();
    assert_eq!(appended_on(&log, records(1, 0..2, 100)), here);
    // Longer than what is left of the segment: the log's thread goes on in a new one.
    let long = vec![record(1, 2, SEGMENT_BYTES as usize)];
    assert_ne!(appended_on(&log, long.clone()), here);
    // And once more: that one is full with it.
    append(&log, records(1, 3..4, 100)).unwrap();
    until("the log's thread being idle", || log.0.writer.try_lock().is_some());
    assert_eq!(appended_on(&log, records(1, 4..6, 100)), here);
    let expected = [records(1, 0..2, 100), long, records(1, 3..6, 100)].concat();
    assert_eq!(all(&log), expected);
    log.close();
    assert_eq!(all(&open(&fs).0), expected);
}

#[test]
fn callers_that_write_themselves_and_the_thread_keep_one_order() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    let (sender, receiver) = mpsc::channel();
    for index in 0..500 {
        let sender = sender.clone();
        let done: Done = Box::new(move |outcome| {
            outcome.expect("written");
            sender.send(index).expect("somebody waits");
        });
        // One for the thread, then some that find it working or idle.
        match index % 3 {
            0 => log.append(records(1, index..index + 1, 30), done),
            _ => log.append_here(records(1, index..index + 1, 30), done),
        }
    }
    let order: Vec<u64> =
        (0..500).map(|_| receiver.recv_timeout(DEADLINE).expect("in time")).collect();
    assert_eq!(order, (0..500).collect::<Vec<_>>());
    log.close();
    assert_eq!(all(&open(&fs).0), records(1, 0..500, 30));
}

#[test]
fn an_entry_that_is_too_long_is_refused_whoever_would_write_it() {
    let (log, _) = open(&Faulty::default());
    let long = vec![record(1, 0, ENTRY_BYTES_MAX + 1)];
    let error = wait(|done| log.append_here(long, done)).expect_err("too long");
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}
