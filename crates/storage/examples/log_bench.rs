//! What one durable batch costs: latency and CPU by batch size, against a bare write and sync.
//!
//! `log_bench [directory]`; build it in release and run it on the disk that is meant.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quorate_storage::{Log, LogOptions, LogPosition, LogRecord};
use rustix::time::{ClockId, clock_gettime};

const PAYLOAD_BYTES: usize = 300;
const ROUNDS: usize = 2_000;

fn main() -> io::Result<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let directory = tempfile::tempdir_in(directory)?;
    println!("{:>24} {:>8} {:>8} {:>10}", "case", "p50 us", "p99 us", "CPU us/row");
    for batch in [1, 10, 100, 1_000] {
        bare(directory.path(), batch)?;
        logged(&directory.path().join(format!("log-{batch}")), batch)?;
    }
    Ok(())
}

/// One write and one sync of a file that was written before.
fn bare(directory: &Path, batch: usize) -> io::Result<()> {
    let bytes = vec![1; PAYLOAD_BYTES * batch];
    let file = File::create(directory.join(format!("bare-{batch}")))?;
    let rounds = rounds(batch);
    file.write_all_at(&vec![0; bytes.len() * rounds], 0)?;
    file.sync_all()?;
    measure("bare", batch, |round| {
        file.write_all_at(&bytes, (round * bytes.len()) as u64)?;
        file.sync_data()
    })
}

fn logged(directory: &Path, batch: usize) -> io::Result<()> {
    let (log, _) = Log::open(LogOptions::new(directory)).map_err(io::Error::other)?;
    let payload = Bytes::from(vec![1; PAYLOAD_BYTES]);
    measure("log", batch, |round| {
        let first = (round * batch) as u64;
        let records = (first..first + batch as u64)
            .map(|index| LogRecord {
                position: LogPosition::new(1, index),
                kind: 1,
                payload: payload.clone(),
            })
            .collect();
        let (sender, receiver) = mpsc::sync_channel(1);
        log.append(records, Box::new(move |outcome| drop(sender.send(outcome))));
        receiver.recv().map_err(io::Error::other)?
    })
}

fn rounds(batch: usize) -> usize {
    (ROUNDS * 10 / batch).clamp(200, ROUNDS)
}

fn measure(
    name: &str,
    batch: usize,
    mut run: impl FnMut(usize) -> io::Result<()>,
) -> io::Result<()> {
    let rounds = rounds(batch);
    let cpu = cpu_time();
    let mut times: Vec<Duration> = Vec::with_capacity(rounds);
    for round in 0..rounds {
        let begin = Instant::now();
        run(round)?;
        times.push(begin.elapsed());
    }
    let cpu = cpu_time() - cpu;
    times.sort();
    let cpu_us = cpu.as_secs_f64() * 1e6 / (rounds * batch) as f64;
    let (p50, p99) = (times[rounds / 2].as_micros(), times[rounds * 99 / 100].as_micros());
    println!("{:>24} {p50:>8} {p99:>8} {cpu_us:>10.2}", format!("{name}, batch {batch}"));
    Ok(())
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}
