//! Offers operations at a fixed rate, whatever the server does.
//!
//! A thread of its own: the runtime's timer has steps of 1 ms, which would be added to every
//! latency. Latency counts from the time an operation was due, so that a stalled server is charged
//! for the operations that had to wait (no coordinated omission).

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::load::shared::Shared;

/// Operations that fall due within one step are offered together.
const STEP: Duration = Duration::from_micros(500);

/// Due operations that wait for a free client, per worker; those beyond are counted as not offered.
const WAITING_MAX: usize = 65_536;

/// Channels for workers that make calls, and the thread that feeds them.
pub struct Pacer {
    senders: Vec<Sender<Instant>>,
    rate: u64,
}

impl Pacer {
    /// A pacer of `rate` operations per second and one receiver for each of `workers`.
    pub fn new(rate: u64, workers: usize) -> (Self, Vec<Receiver<Instant>>) {
        let (senders, receivers) = (0..workers).map(|_| mpsc::channel(WAITING_MAX)).unzip();
        (Self { senders, rate }, receivers)
    }

    /// Offers operations until the run is done; returns how many found the queue full.
    pub fn run(self, shared: &Arc<Shared>) -> u64 {
        let (start, mut offered, mut refused) = (Instant::now(), 0_u64, 0);
        while !shared.done() {
            let now = Instant::now();
            let due = due(self.rate, now - start);
            for number in offered..due {
                let sender = &self.senders[number as usize % self.senders.len()];
                if sender.try_send(now).is_err() && shared.measuring() {
                    refused += 1;
                }
            }
            offered = due;
            std::thread::sleep(STEP);
        }
        refused
    }
}

/// Operations due after `elapsed`.
fn due(rate: u64, elapsed: Duration) -> u64 {
    (u128::from(rate) * elapsed.as_nanos() / 1_000_000_000) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_met_over_any_time() {
        assert_eq!(due(200, Duration::from_millis(4)), 0);
        assert_eq!(due(200, Duration::from_millis(5)), 1);
        assert_eq!(due(20_000, Duration::from_secs(3600)), 72_000_000);
    }
}
