//! A sink behind a bounded queue and a thread of its own.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};
use std::{io, thread};

use super::dropped_line;
use crate::config::LogFormat;

/// Lines waiting for one sink. At the usual 200 bytes a line that is under a megabyte.
pub(super) const LINES_MAX: usize = 4096;

/// How often a flush that finds the queue full looks again.
const FLUSH_RETRY: Duration = Duration::from_millis(1);

enum Item {
    Line(Arc<[u8]>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// The end that lines are put into. Its thread ends when the last clone of the log is dropped.
pub(super) struct Queue {
    sender: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread that writes.
    pub(super) fn start(sink: Box<dyn Write + Send>, format: LogFormat) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(LINES_MAX);
        // Relaxed everywhere: it is a count, and orders nothing.
        let dropped = Arc::new(AtomicU64::new(0));
        let writer = Writer { sink, format, dropped: Arc::clone(&dropped), reported: 0 };
        thread::Builder::new().name("log".into()).spawn(move || writer.run(&receiver))?;
        Ok(Self { sender, dropped })
    }

    /// Queues a line, or drops and counts it when the sink is too far behind.
    pub(super) fn push(&self, line: Arc<[u8]>) {
        if self.sender.try_send(Item::Line(line)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn dropped_total(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything queued before is written; false when the deadline comes first.
    pub(super) fn flush(&self, deadline: Instant) -> bool {
        let (done, written) = sync_channel(1);
        let mut item = Item::Flush(done);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.sender.try_send(item) {
                Ok(()) => return written.recv_timeout(left).is_ok(),
                Err(TrySendError::Full(back)) if !left.is_zero() => item = back,
                Err(_) => return false,
            }
            thread::sleep(FLUSH_RETRY.min(left));
        }
    }
}

struct Writer {
    sink: Box<dyn Write + Send>,
    format: LogFormat,
    dropped: Arc<AtomicU64>,
    reported: u64,
}

impl Writer {
    fn run(mut self, receiver: &Receiver<Item>) {
        while let Ok(item) = receiver.recv() {
            match item {
                Item::Line(line) => self.write(&line),
                Item::Flush(done) => {
                    self.report();
                    // The one who waited may have given up; that is no loss.
                    let _ = done.try_send(());
                }
            }
        }
    }

    fn write(&mut self, line: &[u8]) {
        // A line is written at once, so lines of several processes on one file do not mix.
        let written = self.sink.write_all(line).and_then(|()| self.sink.flush());
        match written {
            Ok(()) => self.report(),
            // A log that cannot be written has nowhere to say so; the count is in the metrics.
            Err(_) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Says how many lines are missing at this place.
    fn report(&mut self) {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped > self.reported {
            let line = dropped_line(self.format, dropped - self.reported);
            if self.sink.write_all(&line).and_then(|()| self.sink.flush()).is_ok() {
                self.reported = dropped;
            }
        }
    }
}
