//! The process as the operating system sees it: the `process_*` metrics of every client library.

use std::fmt;
use std::path::Path;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::gauges::{counter, gauge};

/// Reads `/proc` at every scrape.
#[derive(Debug)]
pub struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        if let Some(stat) = Stat::read() {
            counter(encoder, "process_cpu_seconds", "User and system CPU time", stat.cpu_s)?;
            gauge(encoder, "process_resident_memory_bytes", "Memory resident", stat.resident)?;
            gauge(encoder, "process_virtual_memory_bytes", "Memory mapped", stat.mapped)?;
            if let Some(start) = stat.start_s {
                let help = "Start of the process since the epoch";
                gauge(encoder, "process_start_time_seconds", help, start)?;
            }
        }
        if let Some(open) = entries(Path::new("/proc/self/fd")) {
            gauge(encoder, "process_open_fds", "Open file descriptors", open)?;
            gauge(encoder, "os_fd_used", "Open file descriptors", open)?;
        }
        if let Some(limit) = descriptors_max() {
            gauge(encoder, "process_max_fds", "Limit of open file descriptors", limit)?;
            gauge(encoder, "os_fd_limit", "Limit of open file descriptors", limit)?;
        }
        Ok(())
    }
}

/// Excerpt of `/proc/self/stat`, in seconds and bytes.
struct Stat {
    cpu_s: f64,
    mapped: f64,
    resident: f64,
    start_s: Option<f64>,
}

/// Clock ticks per second in `/proc`: fixed in Linux's interface to processes.
const TICKS_PER_S: f64 = 100.0;

impl Stat {
    fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let boot = std::fs::read_to_string("/proc/stat").ok();
        Self::parse(&stat, boot.as_deref())
    }

    /// Fields are counted after the name, which is in parentheses and may hold anything.
    fn parse(stat: &str, boot: Option<&str>) -> Option<Self> {
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let field = |index: usize| fields.get(index)?.parse::<f64>().ok();
        let boot_s = boot.and_then(|text| {
            text.lines().find_map(|line| line.strip_prefix("btime "))?.parse::<f64>().ok()
        });
        let started = field(19)? / TICKS_PER_S;
        Some(Self {
            cpu_s: (field(11)? + field(12)?) / TICKS_PER_S,
            mapped: field(20)?,
            resident: field(21)? * rustix::param::page_size() as f64,
            start_s: boot_s.map(|boot| boot + started),
        })
    }
}

fn entries(directory: &Path) -> Option<f64> {
    Some(std::fs::read_dir(directory).ok()?.count() as f64)
}

fn descriptors_max() -> Option<f64> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    limit.current.map(|limit| limit as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_behind_a_strange_name() {
        let stat = "7 (a) b) S 1 2 3 4 5 6 7 8 9 10 150 50 13 14 15 16 17 18 1000 4096 2 19";
        let stat = Stat::parse(stat, Some("cpu 1\nbtime 100\n")).expect("well formed");
        assert_eq!((stat.cpu_s, stat.mapped, stat.start_s), (2.0, 4096.0, Some(110.0)));
        assert!(stat.resident >= 2.0 * 4096.0);
    }
}
