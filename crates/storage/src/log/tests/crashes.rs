//! Power cuts, kills and failing disks.

use super::*;
use crate::files::faulty::Unsynced;

/// What the log must hold after some of the calls.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    vote: Option<Bytes>,
    purged: Option<LogPosition>,
    entries: Vec<LogRecord>,
}

enum Call {
    Append(Vec<LogRecord>),
    Vote(&'static [u8]),
    TruncateAfter(LogPosition),
    Purge(LogPosition),
}

/// Rolls over segments, truncates over a segment's border, purges and recycles.
fn script() -> Vec<Call> {
    let mut calls = vec![Call::Vote(b"first"), Call::Append(records(1, 0..3, 100))];
    calls.extend((3..30).map(|index| Call::Append(records(1, index..index + 1, 200))));
    calls.push(Call::Append(records(1, 30..60, 90)));
    calls.push(Call::Vote(b"second"));
    calls.push(Call::TruncateAfter(at(1, 20)));
    calls.push(Call::Append(records(2, 21..40, 150)));
    calls.push(Call::Purge(at(1, 18)));
    calls.extend((40..60).map(|index| Call::Append(records(2, index..index + 1, 300))));
    calls.push(Call::Purge(at(2, 50)));
    calls.push(Call::Append(vec![record(2, 60, 9_000)]));
    calls.push(Call::Append(records(2, 61..70, 10)));
    calls
}

impl Model {
    /// The states that the call passes through; the last one is its full effect.
    fn after(&self, call: &Call) -> Vec<Self> {
        let mut model = self.clone();
        match call {
            Call::Append(records) => {
                let step = |record: &LogRecord| {
                    model.entries.push(record.clone());
                    model.clone()
                };
                return records.iter().map(step).collect();
            }
            Call::Vote(vote) => model.vote = Some(Bytes::from_static(vote)),
            Call::TruncateAfter(keep) => {
                model.entries.retain(|record| record.position.index <= keep.index);
            }
            Call::Purge(upto) => {
                model.entries.retain(|record| record.position.index > upto.index);
                model.purged = Some(*upto);
            }
        }
        vec![model]
    }

    fn found(log: &Log, state: &LogState) -> Self {
        Self { vote: state.vote.clone(), purged: state.purged, entries: all(log) }
    }
}

/// How the script is run.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// Each outcome is waited for: every call is a batch of its own.
    OneByOne,
    /// Nothing is waited for: batches are as they come.
    Together,
    /// As one by one, and the caller writes and syncs itself where it may.
    Here,
}

fn issue(log: &Log, call: &Call, way: Way, done: Done) {
    match call {
        Call::Append(records) if way == Way::Here => {
            until("the log's thread being idle", || log.0.writer.try_lock().is_some());
            log.append_here(records.clone(), done);
        }
        Call::Append(records) => log.append(records.clone(), done),
        Call::Vote(vote) => log.save_vote(Bytes::from_static(vote), done),
        Call::TruncateAfter(keep) => log.truncate_after(Some(*keep), done),
        Call::Purge(upto) => log.purge(*upto, done),
    }
}

/// Runs the script; returns how many calls were acknowledged.
fn run(fs: &Faulty, script: &[Call], way: Way) -> usize {
    let Ok((log, _)) = Log::open_in(Arc::new(fs.clone()), options()) else { return 0 };
    let (sender, receiver) = mpsc::channel();
    let mut outcomes = Vec::new();
    for call in script {
        let sender = sender.clone();
        issue(&log, call, way, Box::new(move |outcome| sender.send(outcome).expect("alive")));
        if way != Way::Together {
            outcomes.push(receiver.recv_timeout(DEADLINE).expect("in time"));
        }
    }
    log.close();
    drop(sender);
    outcomes.extend(receiver.iter());
    assert_eq!(outcomes.len(), script.len());
    let acknowledged = outcomes.iter().take_while(|outcome| outcome.is_ok()).count();
    assert!(
        outcomes[acknowledged..].iter().all(Result::is_err),
        "nothing succeeds after a failure"
    );
    acknowledged
}

/// Every state between the last acknowledged call and the end of the script is fine, no other.
fn assert_nothing_lost(fs: &Faulty, script: &[Call], acknowledged: usize, context: &str) {
    let mut model = Model::default();
    for call in &script[..acknowledged] {
        model = model.after(call).pop().expect("a state");
    }
    let (log, state) = Log::open_in(Arc::new(fs.clone()), options())
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = Model::found(&log, &state);
    let mut allowed = vec![model.clone()];
    for call in &script[acknowledged..] {
        let states = model.after(call);
        model = states.last().expect("a state").clone();
        allowed.extend(states);
    }
    assert!(allowed.contains(&found), "{context}: {acknowledged} acknowledged, found {state:?}");
    // The log goes on, and what it says now survives the next cut.
    let next = state.last.map_or(0, |last| last.index + 1);
    append(&log, records(9, next..next + 5, 50))
        .unwrap_or_else(|error| panic!("{context}: {error}"));
    drop(log);
    let (log, after) = open(&fs.after_crash(Unsynced::Lost));
    assert_eq!(after.last, Some(at(9, next + 4)), "{context}");
    assert_eq!(all(&log).len(), found.entries.len() + 5, "{context}");
}

fn cut_the_power_at_every_step(way: Way) {
    let script = script();
    let whole = Faulty::default();
    assert_eq!(run(&whole, &script, way), script.len());
    let steps = whole.steps();
    assert!(steps > 20, "the script does something");
    for step in 1..=steps + 1 {
        let fs = Faulty::default();
        fs.crash_at(step);
        let acknowledged = run(&fs, &script, way);
        let kinds = [Unsynced::Lost, Unsynced::Kept, Unsynced::Torn(step), Unsynced::Torn(!step)];
        for unsynced in kinds {
            let context = format!("off at step {step}, {unsynced:?}");
            assert_nothing_lost(&fs.after_crash(unsynced), &script, acknowledged, &context);
        }
    }
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_acknowledged() {
    cut_the_power_at_every_step(Way::OneByOne);
}

#[test]
fn a_power_cut_during_large_batches_loses_nothing_acknowledged() {
    cut_the_power_at_every_step(Way::Together);
}

#[test]
fn a_power_cut_while_callers_write_themselves_loses_nothing_acknowledged() {
    cut_the_power_at_every_step(Way::Here);
}

#[test]
fn a_failed_sync_of_a_caller_stops_the_log_for_ever() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    let append_here = |records| wait(|done| log.append_here(records, done));
    append_here(records(1, 0..2, 10)).unwrap();
    fs.fail_syncs(true);
    assert!(append_here(records(1, 2..3, 10)).is_err());
    fs.fail_syncs(false);
    assert!(append_here(records(1, 3..4, 10)).is_err());
    assert!(append(&log, records(1, 4..5, 10)).is_err());
    log.close();
    assert_eq!(open(&fs.after_crash(Unsynced::Lost)).1.last, Some(at(1, 1)));
}

#[test]
fn a_failed_sync_stops_the_log_for_ever() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    append(&log, records(1, 0..2, 10)).unwrap();
    fs.fail_syncs(true);
    assert!(append(&log, records(1, 2..3, 10)).is_err());
    fs.fail_syncs(false);
    assert!(append(&log, records(1, 3..4, 10)).is_err());
    assert!(wait(|done| log.save_vote(Bytes::from_static(b"late"), done)).is_err());
    log.close();
    assert_eq!(open(&fs.after_crash(Unsynced::Lost)).1.last, Some(at(1, 1)));
}

#[test]
fn a_full_disk_shows_before_the_log_stands_still_and_passes_by_itself() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    until("a spare is ready", || log.bytes_on_disk() == 2 * SEGMENT_BYTES);
    fs.set_room(Some(SEGMENT_BYTES / 2));
    assert!(log.has_room());
    // Into the spare: the next one cannot be made.
    append(&log, records(1, 0..10, 400)).unwrap();
    until("the full disk shows", || !log.has_room());
    // What is under way still fits.
    append(&log, records(1, 10..11, 400)).unwrap();
    let (sender, receiver) = mpsc::channel();
    log.append(records(1, 11..30, 400), Box::new(move |outcome| sender.send(outcome).unwrap()));
    assert_eq!(all(&log).len(), 30, "reads are served");
    fs.set_room(None);
    receiver.recv_timeout(DEADLINE).expect("in time").expect("written");
    until("there is room again", || log.has_room());
    log.close();
    assert_eq!(all(&open(&fs).0), records(1, 0..30, 400));
}

#[test]
fn a_log_that_stands_still_on_a_full_disk_can_be_closed() {
    let fs = Faulty::default();
    let (log, _) = open(&fs);
    fs.set_room(Some(0));
    let (sender, receiver) = mpsc::channel();
    log.append(records(1, 0..60, 400), Box::new(move |outcome| sender.send(outcome).unwrap()));
    until("the full disk shows", || !log.has_room());
    log.close();
    assert!(receiver.recv_timeout(DEADLINE).expect("in time").is_err());
}
