//! What a transfer says while it runs.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// Longest silence of [`Lines`] while bytes arrive.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// [`Lines`] writes one line per this many percent.
const LINE_PERCENT: u64 = 10;

/// Told about a transfer.
pub trait Progress: Send {
    /// So many bytes are here, of so many when that is known. May go back after a clean restart.
    fn at(&mut self, bytes: u64, bytes_total: Option<u64>);
    /// Something a reader of the log should know.
    fn note(&mut self, text: &str);
}

/// Says nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn at(&mut self, _: u64, _: Option<u64>) {}
    fn note(&mut self, _: &str) {}
}

/// Plain lines for a log: one per 10 % or per 5 s, whichever comes first.
#[derive(Debug)]
pub struct Lines<W> {
    out: W,
    last_step: u64,
    last_line: Instant,
}

impl<W: Write> Lines<W> {
    /// Writes to `out`; what it cannot write is lost.
    pub fn new(out: W) -> Self {
        Self { out, last_step: 0, last_line: Instant::now() }
    }

    fn line(&mut self, text: &str) {
        let _ = writeln!(self.out, "{text}");
        self.last_line = Instant::now();
    }
}

impl<W: Write + Send> Progress for Lines<W> {
    fn at(&mut self, bytes: u64, bytes_total: Option<u64>) {
        let percent = bytes_total.filter(|total| *total > 0).map(|total| bytes * 100 / total);
        let step = percent.unwrap_or(0) / LINE_PERCENT;
        let is_due = step > self.last_step || self.last_line.elapsed() >= LINE_EVERY;
        self.last_step = step;
        if is_due {
            self.line(&match percent {
                Some(percent) => format!("fetched {bytes} bytes ({percent} %)"),
                None => format!("fetched {bytes} bytes"),
            });
        }
    }

    fn note(&mut self, text: &str) {
        self.line(text);
    }
}

/// A bar, for a person at a terminal.
#[derive(Debug)]
pub struct Bar(ProgressBar);

impl Bar {
    /// Draws on stderr, when that is a terminal.
    #[must_use]
    pub fn new() -> Self {
        let style =
            ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
                .expect("the template is valid");
        Self(ProgressBar::no_length().with_style(style))
    }
}

impl Default for Bar {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress for Bar {
    fn at(&mut self, bytes: u64, bytes_total: Option<u64>) {
        if let Some(total) = bytes_total {
            self.0.set_length(total);
        }
        self.0.set_position(bytes);
    }

    fn note(&mut self, text: &str) {
        self.0.suspend(|| {
            let _ = writeln!(io::stderr(), "{text}");
        });
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_one_line_per_ten_percent() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        for bytes in 0..=1000 {
            lines.at(bytes, Some(1000));
        }
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 10, "{text}");
        assert_eq!(text.lines().last(), Some("fetched 1000 bytes (100 %)"));
    }

    #[test]
    fn a_transfer_of_unknown_length_is_not_a_line_per_chunk() {
        let mut out = Vec::new();
        let mut lines = Lines::new(&mut out);
        (0..1000).for_each(|bytes| lines.at(bytes, None));
        assert!(out.is_empty(), "5 s have not passed");
    }
}
