//! What a million rows cost: writing them behind, reading them back at start-up, streaming them.
//!
//! `backend_bench [directory]`; build it in release and run it on the disk that is meant.

use std::error::Error;
use std::sync::mpsc;
use std::time::Instant;

use quorate_storage::{Backend, BackendOptions, Batch, LogPosition};
use store::{Change, LeaseId, Options, Previous, Record, RecordView, Revision, Row, RowKind};

const ROWS: i64 = 1_000_000;
const BATCH_ROWS: i64 = 100;
const CHUNK_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let directory = tempfile::tempdir_in(directory)?;
    let backend = Backend::open(BackendOptions::new(directory.path()))?;

    let begin = Instant::now();
    for first in (1..=ROWS).step_by(BATCH_ROWS as usize) {
        backend.enqueue(Batch {
            position: LogPosition::new(1, first as u64),
            membership: None,
            changes: (first..first + BATCH_ROWS).map(row).collect(),
        });
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    backend.flush(Box::new(move |outcome| drop(sender.send(outcome))));
    receiver.recv()??;
    println!("write {ROWS} rows: {:?}, {} MB", begin.elapsed(), backend.size_bytes() >> 20);

    let begin = Instant::now();
    let store = backend.load(Options::default())?;
    println!("load {} keys: {:?}", store.keys_total(), begin.elapsed());

    let begin = Instant::now();
    let mut reader = backend.snapshot()?;
    let mut bytes = 0;
    while let Some(chunk) = reader.next_chunk(CHUNK_BYTES)? {
        bytes += chunk.len();
    }
    println!("snapshot {} MB: {:?}", bytes >> 20, begin.elapsed());
    Ok(())
}

fn row(main: i64) -> Change {
    let record = Record::encode(&RecordView {
        key: &main.to_be_bytes(),
        create_revision: main,
        mod_revision: main,
        version: 1,
        value: &[7; 256],
        lease: LeaseId::NONE,
    });
    let revision = Revision::new(main, 0);
    Change::Row(Row { revision, kind: RowKind::Put, record, previous: Previous::None })
}
