//! One step of a random sequence, and how it is shown to a person.

use std::fmt;
use std::sync::LazyLock;

use quorate_tests::pb;
use regex::Regex;

/// What is done to both servers.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Put(pb::PutRequest),
    Range(pb::RangeRequest),
    DeleteRange(pb::DeleteRangeRequest),
    Txn(pb::TxnRequest),
    Compact(pb::CompactionRequest),
    Grant(pb::LeaseGrantRequest),
    /// A grant that would expire within the run, and its revocation at once.
    GrantAndRevoke(pb::LeaseGrantRequest),
    Revoke(i64),
    KeepAlive(i64),
    TimeToLive(pb::LeaseTimeToLiveRequest),
    Leases,
    /// A watcher on the numbered stream, which is opened when it is not open yet.
    Watch(usize, pb::WatchCreateRequest),
    CancelWatch(usize, i64),
    /// All watchers get what is due.
    Settle,
    /// Takes a revision in the place of a step that was left out.
    Mark,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&terse(&format!("{self:?}")))
    }
}

/// The `Debug` form of messages without the fields that say nothing.
pub fn terse(debug: &str) -> String {
    static SILENT: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r#"\b[a-z_]+: (?:0|false|b""|""|\[\]|None)(?:, | ?(\}))"#)
            .expect("a constant pattern")
    });
    let mut text = debug.to_owned();
    loop {
        let shorter = SILENT.replace_all(&text, "$1").into_owned();
        if shorter == text {
            return text.replace(", }", " }").replace("{ }", "{}");
        }
        text = shorter;
    }
}
