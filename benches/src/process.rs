//! What Linux says about a process: processor time, memory.

use std::ops::{Add, Sub};
use std::time::Duration;

use anyhow::{Context as _, Result};

/// Processor time of one process or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// User plus system time of all threads, also of those that ended. Linux counts in ticks of
    /// 10 ms, so windows must last seconds.
    pub cpu: Duration,
}

impl Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { cpu: self.cpu + other.cpu }
    }
}

impl Sub for Usage {
    type Output = Self;
    /// Saturating: the figures only grow, but a restarted process starts at 0.
    fn sub(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu) }
    }
}

/// Memory of one process or of several, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// The most that was ever resident.
    pub peak_bytes: u64,
}

impl Add for Memory {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            resident_bytes: self.resident_bytes + other.resident_bytes,
            peak_bytes: self.peak_bytes + other.peak_bytes,
        }
    }
}

/// What `process` (a pid, or "self") used since it started.
///
/// # Errors
/// When the process is gone or /proc is not Linux's.
pub fn usage(process: &str) -> Result<Usage> {
    let cpu = cpu_ticks(&read(process, "stat")?)?;
    let ticks_per_s = rustix::param::clock_ticks_per_second();
    Ok(Usage { cpu: Duration::from_millis(cpu * 1000 / ticks_per_s) })
}

/// The memory `process` holds.
///
/// # Errors
/// When the process is gone or /proc is not Linux's.
pub fn memory(process: &str) -> Result<Memory> {
    let status = read(process, "status")?;
    Ok(Memory {
        resident_bytes: labelled(&status, "VmRSS:")? * 1024,
        peak_bytes: labelled(&status, "VmHWM:")? * 1024,
    })
}

fn read(process: &str, file: &str) -> Result<String> {
    let path = format!("/proc/{process}/{file}");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
}

/// Fields 14 and 15 of proc(5)'s stat, counted behind the name, which may hold spaces and braces.
fn cpu_ticks(stat: &str) -> Result<u64> {
    let (_, rest) = stat.rsplit_once(')').context("stat without a process name")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || -> Result<u64> { Ok(fields.next().context("stat is short")?.parse()?) };
    Ok(next()? + next()?)
}

/// The number behind `label` in a file of "label: number unit" lines.
fn labelled(text: &str, label: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label));
    let number = line.and_then(|rest| rest.split_ascii_whitespace().next());
    Ok(number.with_context(|| format!("no {label} line"))?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_a_hostile_name() {
        let stat = "4211 (a) R (b 9) S 1 4211 4211 0 -1 4194560 1 2 3 4 150 25 7 8 20 0 9 0 5 6";
        assert_eq!(cpu_ticks(stat).unwrap(), 175);
        assert!(cpu_ticks("4211 (etcd) S 1 2").is_err());
        assert!(cpu_ticks("nonsense").is_err());
    }

    #[test]
    fn labels_match_whole_lines_only() {
        let io = "rchar: 1\nwrite_bytes: 4096\ncancelled_write_bytes: 7\n";
        assert_eq!(labelled(io, "write_bytes:").unwrap(), 4096);
        assert_eq!(labelled("VmHWM:\t  2048 kB\nVmRSS:\t 1024 kB\n", "VmRSS:").unwrap(), 1024);
        assert!(labelled(io, "VmRSS:").is_err());
    }

    #[test]
    fn this_process_has_memory_and_time() {
        let memory = memory("self").unwrap();
        assert!(memory.resident_bytes > 0 && memory.peak_bytes >= memory.resident_bytes);
        let before = usage("self").unwrap();
        assert_eq!(before - usage("self").unwrap(), Usage::default());
    }

    #[test]
    fn members_add_up() {
        let one = Usage { cpu: Duration::from_millis(20) };
        assert_eq!(one + one, Usage { cpu: Duration::from_millis(40) });
        assert_eq!(Usage::default() - one, Usage::default());
    }
}
